"""Images that are too large for an answer at once: the page makes a job of them and shows it."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest

pytestmark = pytest.mark.browser


def choose(page, data: bytes, name: str = "cells.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": data})


def wait_for_job(page) -> None:
    """Wait until it is worked on."""
    page.wait_for_selector("#job:not([hidden])")
    page.wait_for_function("document.querySelector('#job p').innerText.includes('reading')")


@pytest.fixture
def held_page(open_at, serve, held_model):
    """A page whose server takes 1000 pixels at once, and whose model waits to be let go."""
    return open_at(serve(held_model, max_pixels=1000), bypass_csp=True)


def test_an_image_over_the_limit_becomes_a_job_and_its_mask_is_shown(
    held_page, held_model, png, axe_violations
):
    choose(held_page, png)
    wait_for_job(held_page)
    assert axe_violations(held_page) == []
    held_model.release.set()
    held_page.wait_for_selector("#legend button")
    held_page.wait_for_selector("#job", state="hidden")
    assert held_page.inner_text("#legend li:has-text('nucleus') .fraction") == "8.3 %"
    held_page.click("text=Do this from a program")
    assert "/jobs?model=cells&format=png" in held_page.inner_text("#curl")
    assert not held_page.is_visible("#python")


def test_the_bar_counts_tiles(open_at, serve, counted_model, encode):
    counted_model.whole_pixels = 10_000
    run, turn = counted_model.logits, threading.Semaphore(0)

    def in_turn(images, options):
        assert turn.acquire(timeout=120), "the test never let the network run"
        return run(images, options)

    counted_model.logits = in_turn
    page = open_at(serve(counted_model, max_pixels=1000))
    choose(page, encode(np.full((64, 800, 3), 220, np.uint8)))  # a row of 24 tiles
    counted = []
    for _ in range(3):
        page.wait_for_function(
            """done => {
              const words = document.querySelector("#job p").innerText;
              return parseInt((words.match(/^(\\d+) of 24 tiles/) || [])[1]) > done;
            }""",
            arg=counted[-1] if counted else 0,
        )
        value, text = page.evaluate(
            """() => [
              document.querySelector("#job progress").value,
              document.querySelector("#job p").innerText,
            ]"""
        )
        counted.append(int(text.split()[0]))
        assert value == pytest.approx(counted[-1] / 24, abs=1e-3)
        turn.release()
    for _ in range(24):
        turn.release()
    page.wait_for_selector("#legend button")


def test_a_job_can_be_cancelled_and_the_server_forgets_it(held_page, held_model, png):
    answers = []
    held_page.on("response", lambda answer: answers.append(answer))
    choose(held_page, png)
    wait_for_job(held_page)
    with held_page.expect_response(lambda answer: answer.request.method == "DELETE") as removed:
        held_page.click("#job button")
    assert removed.value.status == 204
    assert held_page.is_visible("#drop")
    assert not held_page.is_visible("#job")
    assert held_page.inner_text("#status") == "Cancelled."
    held_model.release.set()
    job = removed.value.url
    assert (
        held_page.evaluate("place => fetch(place).then(answer => answer.json())", job)["state"]
        == "cancelled"
    )


def test_a_job_that_fails_is_shown_in_words(open_at, serve, counted_model, png):
    def broken(images, options, *, plans):
        raise RuntimeError("secret")

    counted_model.segment_batch = broken
    page = open_at(serve(counted_model, max_pixels=1000))
    choose(page, png)
    page.wait_for_selector("#error:not([hidden])")
    assert re.search(
        r"An internal error occurred.*\(request ", page.inner_text("#error"), re.DOTALL
    )
    assert "secret" not in page.inner_text("#error")
    assert not page.is_visible("#job")


def test_a_huge_map_is_thinned_out_and_each_pixel_still_finds_its_class(page):
    """Columns 0 to 2999 of 5000 x 5000 are class 1, the others class 0: every second is kept."""
    found = page.evaluate(
        """async () => {
          const { LabelMap } = await import("/web/mask.js");
          const encode = (counts) => counts.map((count, index) => {
            let value = index > 2 ? count - counts[index - 2] : count, text = "";
            for (let more = true; more;) {
              let byte = value & 31; value >>= 5;
              more = byte & 16 ? value !== -1 : value !== 0;
              if (more) byte |= 32;
              text += String.fromCharCode(byte + 48);
            }
            return text;
          }).join("");
          const side = 5000, edge = 3000 * side;
          const classes = [
            { id: 0, mask: { counts: encode([edge, side * side - edge]) } },
            { id: 1, mask: { counts: encode([0, edge, side * side - edge]) } },
          ];
          const map = new LabelMap({ width: side, height: side, classes });
          return [map.labels.length, map.at(0, 0), map.at(2999, 4999), map.at(3000, 0),
                  map.at(4999, 4999), map.at(5000, 0)];
        }"""
    )
    assert found == [2500 * 2500, 1, 1, 0, 0, None]
