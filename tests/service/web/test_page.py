"""The page, driven as a visitor would."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import tifffile
from PIL import Image

pytestmark = pytest.mark.browser


def choose(page, data: bytes, name: str = "cells.png", kind: str = "image/png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": data})


def wait_for_mask(page) -> None:
    page.wait_for_selector("#legend button")
    page.wait_for_selector("#busy", state="hidden")


def mask_alpha(page, x: int, y: int) -> int:
    return page.evaluate(
        "([x, y]) => document.getElementById('mask').getContext('2d')"
        ".getImageData(x, y, 1, 1).data[3]",
        [x, y],
    )


def test_a_first_visitor_sees_a_mask_after_one_click(page):
    page.click("[data-sample=nuclei]")
    wait_for_mask(page)
    assert page.is_visible("#mask")
    assert page.locator("#legend button").count() == 2
    assert "Done in" in page.inner_text("#status")
    assert "nuclei.jpg" in page.inner_text("#caption")


def test_a_chosen_image_gets_its_mask_legend_and_shares(page, png):
    choose(page, png)
    wait_for_mask(page)
    assert page.inner_text("#legend li:has-text('nucleus') .fraction") == "8.3 %"
    assert mask_alpha(page, 20, 10) == 255
    assert mask_alpha(page, 50, 30) == 0, "the background starts hidden"
    assert re.search("cells.png · 60 . 40$", page.inner_text("#caption"))


def test_a_raster_that_no_browser_reads_is_shown_by_the_server(page):
    pixels = np.full((40, 60, 4), 20, np.uint8)
    pixels[5:15, 10:30, 0] = 220
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", extrasamples=["unspecified"])
    choose(page, stream.getvalue(), "field.tif", "image/tiff")
    wait_for_mask(page)
    assert mask_alpha(page, 20, 10) == 255
    assert re.search("field.tif · 60 . 40$", page.inner_text("#caption"))
    shown = page.evaluate(
        "[[20, 10], [50, 30]].map(([x, y]) => [...document.getElementById('image')"
        ".getContext('2d').getImageData(x, y, 1, 1).data])"
    )
    assert shown == [[220, 20, 20, 255], [20, 20, 20, 255]]


def test_an_image_can_be_dropped(page, png):
    drop(page, png)
    wait_for_mask(page)
    assert "dropped.png" in page.inner_text("#caption")


def test_an_image_can_be_pasted(page, png):
    page.evaluate(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
          document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer}));
        }""",
        list(png),
    )
    wait_for_mask(page)
    assert "pasted.png" in page.inner_text("#caption")


def test_a_class_is_hidden_and_shown_by_its_legend(page, png):
    choose(page, png)
    wait_for_mask(page)
    nucleus = page.locator("#legend button:has-text('nucleus')")
    assert nucleus.get_attribute("aria-pressed") == "true"
    nucleus.click()
    assert nucleus.get_attribute("aria-pressed") == "false"
    assert mask_alpha(page, 20, 10) == 0
    nucleus.press("Enter")
    assert mask_alpha(page, 20, 10) == 255


def test_the_pointer_is_told_the_class(page, png):
    choose(page, png)
    wait_for_mask(page)
    box = page.locator("#mask").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 20.5 / 60, box["y"] + box["height"] * 10.5 / 40)
    assert page.inner_text("#tip") == "nucleus (20, 10)"
    assert "under-pointer" in page.locator("#legend button:has-text('nucleus')").get_attribute(
        "class"
    )
    page.mouse.move(5, 5)
    assert not page.is_visible("#tip")


def test_the_slider_sets_the_opacity_and_can_be_moved_by_keys(page, png):
    choose(page, png)
    wait_for_mask(page)
    page.locator("#opacity").press("End")
    assert page.locator("#mask").evaluate("mask => getComputedStyle(mask).opacity") == "1"
    page.locator("#opacity").press("Home")
    assert page.locator("#mask").evaluate("mask => getComputedStyle(mask).opacity") == "0"
    assert page.inner_text("#opacity-value") == "0 %"


def test_the_mask_can_be_saved_as_the_indexed_png(page, png):
    choose(page, png)
    wait_for_mask(page)
    saved = download(page, "save-mask")
    assert saved.mode == "P"
    assert np.asarray(saved)[10, 20] == 1
    assert (np.asarray(saved) == 1).sum() == 200


def test_the_overlay_can_be_saved_as_it_is_seen(page, png):
    choose(page, png)
    wait_for_mask(page)
    page.locator("#opacity").press("End")
    saved = np.asarray(download(page, "save-overlay").convert("RGB"))
    assert saved[10, 20].tolist() == [40, 200, 120]
    assert saved[30, 50].tolist() == [20, 20, 20]


def test_another_model_segments_the_same_image_again(page, png, counted_model):
    choose(page, png)
    wait_for_mask(page)
    assert counted_model.calls == 1
    with page.expect_response("**/segment?*model=streets*"):
        page.select_option("#model", "streets")
    wait_for_mask(page)
    page.wait_for_selector("#legend >> text=building")
    assert counted_model.calls == 2


def test_an_error_is_shown_in_words_and_the_page_goes_on(page, png):
    choose(page, b"not an image", "notes.png")
    page.wait_for_selector("#error:not([hidden])")
    assert "The upload is not an image that can be read" in page.inner_text("#error")
    choose(page, png)
    wait_for_mask(page)
    assert not page.is_visible("#error")


def test_a_file_over_the_limit_is_refused_before_it_is_sent(open_at, serve, counted_model, png):
    page = open_at(serve(counted_model, max_bytes=32, job_max_bytes=64))
    choose(page, png)
    page.wait_for_selector("#error:not([hidden])")
    assert "The file is too large" in page.inner_text("#error")
    assert counted_model.calls == 0


def test_a_service_without_models_says_what_to_do(open_at, serve, counted_model, tmp_path):
    page = open_at(serve(counted_model, bundles=(tmp_path,)))
    assert "There is no model to use" in page.inner_text("#error")
    assert page.is_disabled("#model")


def test_work_can_be_done_by_keyboard_alone(page):
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.sample") == "aerial":
            break
    page.keyboard.press("Enter")
    wait_for_mask(page)
    assert "aerial.jpg" in page.inner_text("#caption")
    page.locator("#again [data-action=close]").press("Enter")
    assert page.is_visible("#drop")
    assert page.evaluate("document.activeElement.dataset.action") == "choose"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    open_at, serve, counted_model, png, scheme
):
    page = open_at(serve(counted_model), color_scheme=scheme, has_touch=True)
    page.set_viewport_size({"width": 360, "height": 740})
    choose(page, png)
    wait_for_mask(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#mask").bounding_box()["width"] > 40


def test_the_documentation_needs_nothing_from_outside(page):
    page.click("text=API")
    page.wait_for_selector("#operations article")
    assert page.is_visible("text=/segment")
    page.wait_for_selector("#problem-too-many-pixels")
    assert "413" in page.inner_text("#problem-too-many-pixels")


def drop(page, data: bytes) -> None:
    page.evaluate(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
          const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
          document.body.dispatchEvent(new DragEvent("dragover", options));
          document.body.dispatchEvent(new DragEvent("drop", options));
        }""",
        list(data),
    )


def download(page, action: str) -> Image.Image:
    with page.expect_download() as waiting:
        page.click(f"[data-action={action}]")
    image = Image.open(io.BytesIO(waiting.value.path().read_bytes()))
    image.load()
    return image
