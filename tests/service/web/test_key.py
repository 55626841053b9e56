"""A service that wants API keys: the page asks for one, and sends it."""

from __future__ import annotations

import pytest

from maskzoo.service.guards.keys import new_key

pytestmark = pytest.mark.browser


def choose(page, data: bytes) -> None:
    page.set_input_files("#file", {"name": "cells.png", "mimeType": "image/png", "buffer": data})


@pytest.fixture
def key() -> tuple[str, str]:
    """A key, and the hash of it."""
    return new_key()


@pytest.fixture
def locked(open_at, serve, counted_model, key):
    """A page of a service that wants this key."""
    return open_at(serve(counted_model, api_keys={"lab": key[1]}), bypass_csp=True)


def give(page, text: str) -> None:
    page.fill("#key-field", text)
    page.press("#key-field", "Enter")


def test_the_key_is_asked_for_once_and_kept_for_this_tab_alone(locked, key, png):
    assert locked.inner_text("#key-title") == "This server requires an API key"
    assert not locked.is_visible("#key-wrong")
    give(locked, key[0])
    locked.wait_for_selector("#model:not([disabled])")
    choose(locked, png)
    locked.wait_for_selector("#legend button")
    assert locked.evaluate("[{...sessionStorage}, {...localStorage}, document.cookie]") == [
        {"maskzoo-key": key[0]},
        {},
        "",
    ]
    locked.reload()
    locked.wait_for_selector("#model:not([disabled])")
    assert not locked.is_visible("#key")


def test_a_wrong_key_is_said_to_be_wrong_and_asked_for_again(locked, key):
    give(locked, "mz_wrong")
    locked.wait_for_selector("#key-wrong:not([hidden])")
    assert "The server does not accept this key" in locked.inner_text("#key-wrong")
    assert locked.input_value("#key-field") == ""
    give(locked, f"  {key[0]} ")
    locked.wait_for_selector("#model:not([disabled])")
    assert not locked.is_visible("#error")


def test_who_has_no_key_is_told_so_and_may_enter_one_later(locked, key):
    locked.click("#key button:has-text('Cancel')")
    locked.wait_for_selector("#error:not([hidden])")
    assert "key" in locked.inner_text("#error")
    locked.click("#error button")
    give(locked, key[0])
    locked.wait_for_selector("#model:not([disabled])")
    assert not locked.is_visible("#error")


def test_the_programs_name_the_key_and_do_not_show_it(locked, key, png):
    give(locked, key[0])
    locked.wait_for_selector("#model:not([disabled])")
    choose(locked, png)
    locked.wait_for_selector("#legend button")
    locked.click("text=Do this from a program")
    for program in ("#curl", "#python"):
        assert "MASKZOO_KEY" in locked.inner_text(program)
        assert key[0] not in locked.inner_text(program)


def test_a_job_is_watched_with_the_key(open_at, serve, counted_model, key, png):
    page = open_at(serve(counted_model, api_keys={"lab": key[1]}, max_pixels=1000))
    give(page, key[0])
    page.wait_for_selector("#model:not([disabled])")
    choose(page, png)
    page.wait_for_selector("#legend button")
    assert not page.is_visible("#job")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_nothing_in_the_dialog(
    open_at, serve, counted_model, key, axe_violations, width, scheme
):
    address = serve(counted_model, api_keys={"lab": key[1]})
    page = open_at(address, color_scheme=scheme, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 800})
    assert axe_violations(page) == []
    give(page, "wrong")
    page.wait_for_selector("#key-wrong:not([hidden])")
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
