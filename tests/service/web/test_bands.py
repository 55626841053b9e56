"""Images of many bands on the page: which bands are shown, by default and by choice."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from maskzoo import create_model, save_bundle
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Band, Bands, Preprocessing

pytestmark = pytest.mark.browser

NAMES = ("coast", "blue", "green", "red", "nir")
LEVELS = (40, 80, 120, 160, 240)  # of the five bands


def bands_named(names: tuple[str, ...]) -> Bands:
    channels = tuple(
        Band(number=place, name=name, low=0, high=255, fill=0)
        for place, name in enumerate(names, start=1)
    )
    return Bands(in_file=len(names), dtype="uint8", channels=channels)


def raster(count: int = 5) -> bytes:
    """Return a TIFF whose bands are each of one level."""
    samples = np.stack([np.full((48, 64), level, np.uint8) for level in LEVELS[:count]], axis=-1)
    target = io.BytesIO()
    tifffile.imwrite(target, samples, photometric="minisblack", planarconfig="contig")
    return target.getvalue()


@pytest.fixture
def open_bands(open_at, serve, counted_model, tmp_path):
    """`open_bands(names)`: the page of a server whose model takes these bands."""

    def begin(names: tuple[str, ...], **context: object) -> object:
        count = len(names)
        network = create_model(
            "unet", encoder="tu-test_resnet", num_classes=2, in_channels=count
        ).eval()
        save_bundle(
            tmp_path / "bundles" / "field",
            network,
            name="field",
            labels=LabelSet(
                names=("background", "field"), colours=((0, 0, 0), (40, 200, 120)), background=0
            ),
            preprocessing=Preprocessing(
                mean=(0.5,) * count, std=(0.25,) * count, bands=bands_named(names)
            ),
        )
        page = open_at(serve(counted_model, bundles=(tmp_path / "bundles",)), **context)
        file = {"name": "a.tif", "mimeType": "image/tiff", "buffer": raster(count)}
        page.set_input_files("#file", file)
        page.wait_for_selector("#result:not([hidden])")
        return page

    return begin


def shown(page) -> list[int]:
    """Return the colour in the middle of the image."""
    return page.evaluate(
        "[...document.querySelector('#image').getContext('2d').getImageData(32, 24, 1, 1).data]"
    )[:3]


def wait_for_level(page, channel: int) -> None:
    """Wait until the image shows the brightest band in a channel, or an error is told."""
    page.wait_for_function(
        """channel => {
          const image = document.querySelector("#image").getContext("2d");
          const told = !document.querySelector("#error").hidden;
          return told || image.getImageData(32, 24, 1, 1).data[channel] > 200;
        }""",
        arg=channel,
    )
    assert page.inner_text("#error") == ""


def chosen(page) -> list[str]:
    lists = page.locator("#bands select")
    return [lists.nth(place).input_value() for place in range(3)]


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (NAMES, ["4", "3", "2"]),
        (tuple(f"band {n}" for n in range(1, 6)), ["1", "2", "3"]),
        (("vv", "vh"), ["1", "1", "1"]),
    ],
)
def test_the_usual_bands_are_shown_first(open_bands, names, numbers):
    page = open_bands(names)
    assert chosen(page) == numbers
    assert shown(page) == [LEVELS[int(number) - 1] for number in numbers]


def test_other_bands_are_shown_without_another_run_for_the_mask(
    open_bands, counted_model, axe_violations
):
    page = open_bands(NAMES, bypass_csp=True)
    page.select_option("#bands select >> nth=0", label="5 · nir")
    wait_for_level(page, 0)
    assert shown(page) == [240, 120, 80]
    assert chosen(page) == ["5", "3", "2"]
    assert page.locator("#legend button").count() > 0  # the answer is still there
    assert axe_violations(page) == []


def test_the_choice_stays_for_the_next_image_of_the_visit_when_it_is_opened_again(open_bands):
    page = open_bands(NAMES, bypass_csp=True)
    page.select_option("#bands select >> nth=2", "5")
    wait_for_level(page, 2)
    page.set_input_files("#file", {"name": "b.tif", "mimeType": "image/tiff", "buffer": raster()})
    page.wait_for_function("document.querySelector('#caption').innerText.startsWith('b.tif')")
    page.wait_for_selector("#busy", state="hidden")
    assert chosen(page) == ["4", "3", "2"]
    page.locator("#history button").last.click()
    page.wait_for_function("document.querySelector('#caption').innerText.startsWith('a.tif')")
    assert chosen(page) == ["4", "3", "5"]
    assert shown(page) == [160, 120, 240]


def test_networks_of_red_green_and_blue_have_no_lists(page, png):
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": png})
    page.wait_for_selector("#result:not([hidden])")
    assert not page.is_visible("#bands")
