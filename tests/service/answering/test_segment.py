"""One image is segmented alike in memory and from file to file, whole and by tiles."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from maskzoo.models.errors import ImageTooLargeError
from maskzoo.models.images.decode import read_header
from maskzoo.models.preprocessing import Band, Bands, Preprocessing
from maskzoo.service.answering.network import MemoryArrays
from maskzoo.service.answering.segment import segment_image
from maskzoo.service.errors import StoppedError
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.responses.timings import Timings


def scene(height: int = 90, width: int = 130) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    bright = (rows // 17 + columns // 23) % 2 == 0
    return np.where(bright, 220, 20).astype(np.uint8)[..., None].repeat(3, axis=2)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A TIFF in strips of 11 700 pixels, more than the model takes as a whole."""
    path = tmp_path / "scene.tif"
    tifffile.imwrite(path, scene(), photometric="rgb", rowsperstrip=16, compression="zlib")
    return path


class Kept(MemoryArrays):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.made: list[tuple[str, np.dtype]] = []
        self.released: list[int] = []

    def array(self, name, shape, dtype):
        """Note the array."""
        array = super().array(name, shape, dtype)
        self.made.append((name, array.dtype))
        return array

    def release(self, array):
        """Note how much of it is bright."""
        self.released.append(int((array == 1).sum()))


def segment(order, source, open_place, **changes):
    timings = Timings()

    async def run():
        async with open_place(order, source, **changes) as place:
            return await segment_image(order, source, read_header(source), place, timings)

    return *asyncio.run(run()), timings


@pytest.mark.parametrize("mode", ["whole", "tiled"])
@pytest.mark.parametrize("kind", ["bytes", "path"])
def test_bytes_and_files_give_one_label_map_in_each_mode(
    make_order, open_place, image: Path, mode: str, kind: str
):
    order = make_order(AnswerNeeds(needs_confidence=True), mode=mode)
    source = image if kind == "path" else image.read_bytes()
    found, pixels, timings = segment(order, source, open_place)
    np.testing.assert_array_equal(found.label_map, scene()[..., 0] > 127)
    assert found.confidence.shape == (90, 130)
    assert found.mode == mode
    assert found.info.format == "TIFF"
    assert pixels is None
    assert next(iter(timings.seconds)) == "decode"
    assert "network" in timings.seconds
    assert ("queue" in timings.seconds) == (mode == "whole")


@pytest.mark.parametrize("mode", ["whole", "tiled"])
@pytest.mark.parametrize("kind", ["bytes", "path"])
def test_pixels_are_there_where_the_answer_shows_them(make_order, open_place, image, mode, kind):
    order = make_order(AnswerNeeds(needs_pixels=True), mode=mode)
    source = image if kind == "path" else image.read_bytes()
    found, pixels, _ = segment(order, source, open_place)
    np.testing.assert_array_equal(pixels, scene())
    assert found.confidence is None


def test_arrays_of_a_tiled_image_are_kept_where_the_place_says(make_order, open_place, image):
    arrays = Kept()
    order = make_order(AnswerNeeds(needs_confidence=True))
    segment(order, image, open_place, arrays=arrays)
    assert arrays.made == [("label_map", np.uint8), ("confidence", np.float16)]
    assert arrays.released[0] == (scene()[..., 0] > 127).sum(), "full when it is released"


@pytest.mark.parametrize(("mode", "expected"), [("whole", 1), ("tiled", 8)])
def test_progress_ends_at_the_number_of_tiles(make_order, open_place, image, mode, expected):
    seen: list[tuple[int, int]] = []
    order = make_order(mode=mode)
    segment(order, image, open_place, on_tile=lambda *pair: seen.append(pair))
    assert seen == [(done, expected) for done in range(expected + 1)]


@pytest.mark.parametrize("mode", ["whole", "tiled"])
def test_work_that_nobody_wants_any_more_ends(make_order, open_place, image, mode):
    async def run():
        order = make_order(mode=mode)
        async with open_place(order, image) as place:
            place.network.access.stop()
            await segment_image(order, image, read_header(image), place, Timings())

    with pytest.raises(StoppedError, match="the work was stopped"):
        asyncio.run(run())


def test_an_image_above_the_limit_of_its_order_is_refused(make_order, open_place, image):
    order = make_order(max_pixels=11_699)
    for source in (image, image.read_bytes()):
        with pytest.raises(ImageTooLargeError, match="130 x 90"):
            segment(order, source, open_place)


def test_probabilities_of_a_large_image_are_computed_in_memory(make_order, open_place, image):
    order = make_order(AnswerNeeds(takes_probabilities=True), probabilities=True)
    found, _, _ = segment(order, image, open_place)
    assert found.probabilities.shape == (2, 90, 130)


@pytest.mark.parametrize("mode", ["whole", "tiled"])
def test_an_image_of_bands_is_shown_by_its_red_green_and_blue(
    make_order, open_place, tmp_path, mode
):
    names = ("nir", "red", "green", "blue")
    rows = tuple(
        Band(number=number, name=name, low=0, high=255, fill=0)
        for number, name in enumerate(names, start=1)
    )
    bands = Bands(in_file=4, dtype="uint8", channels=rows)
    preprocessing = Preprocessing(mean=(0.5,) * 4, std=(0.25,) * 4, bands=bands)
    usual = make_order(AnswerNeeds(needs_pixels=True), mode=mode)
    manifest = SimpleNamespace(
        labels=usual.model.labels, weights_sha256="0", preprocessing=preprocessing
    )
    order = replace(usual, model=replace(usual.model, manifest=manifest))
    samples = np.dstack([np.full((90, 130), 7, np.uint8), scene()])
    samples[..., 2] = 99
    path = tmp_path / "bands.tif"
    tifffile.imwrite(path, samples, photometric="minisblack", planarconfig="contig")
    _, pixels, _ = segment(order, path, open_place)
    np.testing.assert_array_equal(pixels, samples[..., 1:])
