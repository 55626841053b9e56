"""The page's tools: two models, history, programs, camera, keys; and what axe says of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

pytestmark = pytest.mark.browser


def choose(page, data: bytes, name: str = "cells.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": data})


def wait_for_mask(page) -> None:
    page.wait_for_selector("#legend button")
    page.wait_for_selector("#busy", state="hidden")


def compare(page, png: bytes) -> None:
    choose(page, png)
    wait_for_mask(page)
    page.select_option("#compare", "streets")
    page.wait_for_selector("#legend-b button")
    page.wait_for_selector("#busy", state="hidden")


def test_two_models_stand_side_by_side_and_the_slider_divides_them(page, png):
    compare(page, png)
    assert page.inner_text("#name-a") == "cells"
    assert page.inner_text("#name-b") == "streets"
    assert "nucleus" in page.inner_text("#legend")
    assert "building" in page.inner_text("#legend-b")
    page.locator("#divide").press("Home")
    assert (
        page.locator("#mask").evaluate("mask => mask.style.clipPath") == "inset(0px 100% 0px 0px)"
    )
    page.locator("#divide").press("End")
    assert page.locator("#mask-b").evaluate("mask => mask.style.clipPath") == (
        "inset(0px 0px 0px 100%)"
    )
    page.select_option("#compare", "")
    page.wait_for_selector("#divider", state="hidden")
    assert page.locator("#mask").evaluate("mask => mask.style.clipPath") == ""


def test_the_pointer_is_told_the_class_of_the_side_it_is_on(page, png):
    compare(page, png)
    box = page.locator("#mask").bounding_box()
    for x, name in ((12.5, "nucleus (12, 10)"), (50.5, "road (50, 10)")):
        page.mouse.move(box["x"] + box["width"] * x / 60, box["y"] + box["height"] * 10.5 / 40)
        assert page.inner_text("#tip") == name


def test_a_class_of_the_second_model_is_hidden_by_its_own_legend(page, png):
    compare(page, png)
    road = page.locator("#legend-b button:has-text('road')")
    alpha = "document.getElementById('mask-b').getContext('2d').getImageData(50, 30, 1, 1).data[3]"
    assert page.evaluate(alpha) == 255
    road.click()
    assert page.evaluate(alpha) == 0


def test_the_history_brings_an_answer_back_without_asking_again(page, png, encode, counted_model):
    choose(page, png, "first.png")
    wait_for_mask(page)
    assert not page.is_visible("#history"), "one image is not a history"
    choose(page, encode(np.full((30, 30, 3), 220, np.uint8)), "second.png")
    page.wait_for_selector("#history li:nth-child(2)")
    wait_for_mask(page)
    calls = counted_model.calls
    page.click("#history button[aria-label='first.png by cells']")
    assert page.inner_text("#caption").startswith("first.png")
    assert page.inner_text("#legend li:has-text('nucleus') .fraction") == "8.3 %"
    assert page.get_attribute(
        "#history button[aria-label='first.png by cells']", "aria-current"
    ) == ("true")
    assert counted_model.calls == calls


def test_the_coco_document_is_read_by_pycocotools(page, png):
    choose(page, png)
    wait_for_mask(page)
    with page.expect_download() as waiting:
        page.click("[data-action=save-coco]")
    document = json.loads(waiting.value.path().read_text())
    assert waiting.value.suggested_filename == "cells-coco.json"
    assert [entry["name"] for entry in document["categories"]] == ["background", "nucleus"]
    nucleus = document["annotations"][1]
    assert (nucleus["category_id"], nucleus["area"], nucleus["bbox"]) == (2, 200, [10, 5, 20, 10])
    assert coco.decode(nucleus["segmentation"]).sum() == 200


def test_the_request_is_shown_for_curl_and_python_and_can_be_copied(page, png):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, png, "it's.png")
    wait_for_mask(page)
    page.click("text=Do this from a program")
    page.click("[data-action=copy-curl]")
    page.wait_for_selector("text=Copied: curl.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.text_content("#curl")
    assert r"file=@'it'\''s.png'" in copied
    assert "/segment?model=cells'" in copied
    source = page.text_content("#python")
    compile(source, "snippet", "exec")
    assert 'client.segment("it\'s.png", model="cells")' in source


def test_the_camera_gives_one_frame_and_is_off_again(page):
    # A canvas stands for the camera: Chromium's fake one draws large frames as fast as it can.
    page.evaluate(
        """() => {
          const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 48});
          const pen = canvas.getContext("2d");
          pen.fillStyle = "#dcdcdc";
          setInterval(() => pen.fillRect(0, 0, 64, 48), 50);  // each drawing is a frame
          navigator.mediaDevices.getUserMedia = async () => {
            window.camera = canvas.captureStream();
            return window.camera;
          };
        }"""
    )
    is_off = "window.camera.getTracks().every((track) => track.readyState === 'ended')"
    page.click("#camera-button")
    page.wait_for_selector("#camera[open]")
    assert not page.evaluate(is_off)
    page.click("text=Take the photo")
    wait_for_mask(page)
    assert "camera.jpg" in page.inner_text("#caption")
    assert page.inner_text("#legend li:has-text('nucleus') .fraction") == "100.0 %"
    assert page.evaluate(is_off)
    page.click("#again [data-action=close]")
    page.click("#camera-button")
    page.wait_for_selector("#camera[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#drop", state="visible")
    page.wait_for_function(is_off)
    assert page.evaluate("document.querySelector('#camera video').srcObject") is None


def test_keys_hide_classes_and_the_mask_and_close(page, png):
    choose(page, png)
    wait_for_mask(page)
    nucleus = page.locator("#legend button:has-text('nucleus')")
    page.keyboard.press("2")
    assert nucleus.get_attribute("aria-pressed") == "false"
    page.keyboard.press("2")
    assert nucleus.get_attribute("aria-pressed") == "true"
    page.keyboard.press("h")
    assert page.locator("#mask").evaluate("mask => mask.style.opacity") == "0"
    page.keyboard.press("h")
    assert page.locator("#mask").evaluate("mask => mask.style.opacity") == "0.55"
    page.keyboard.press("Escape")
    assert page.is_visible("#drop")


def test_the_overlay_of_two_models_is_saved_as_it_is_seen(page, png):
    compare(page, png)
    page.locator("#opacity").press("End")
    page.locator("#divide").press("Home")
    with page.expect_download() as waiting:
        page.click("[data-action=save-overlay]")
    saved = np.asarray(Image.open(waiting.value.path()).convert("RGB"))
    colour = page.evaluate(
        "getComputedStyle(document.querySelector('#legend-b button .swatch')).backgroundColor"
    )
    shown = [int(value) for value in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    assert saved[30, 50].tolist() == shown, "the largest class of the second model"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_nothing(open_at, serve, counted_model, png, axe_violations, width, scheme):
    page = open_at(serve(counted_model), color_scheme=scheme, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 800})
    assert axe_violations(page) == []
    compare(page, png)
    page.click("text=Do this from a program")
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
