"""Bands of a file become a network's pixels by the ranges of its bundle."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.errors import ImageBandsError
from maskzoo.models.images.decode import decode_image
from maskzoo.models.images.raster.bands import (
    BandReader,
    StoredSamples,
    preview,
    resize_bands,
    show,
    shown_numbers,
)
from maskzoo.models.images.rows import open_image
from maskzoo.models.preprocessing import Band, Bands


def bands(*spans: tuple[float, float], dtype: str = "uint16", **options: object) -> Bands:
    rows = tuple(
        Band(number=number, name=f"b{number}", low=low, high=high, fill=100 + number)
        for number, (low, high) in enumerate(spans, start=1)
    )
    return Bands(**{"in_file": len(rows), "dtype": dtype, "channels": rows, **options})


def reader(wanted: Bands, no_data: float | None = None) -> BandReader:
    return BandReader(wanted, no_data)


def test_each_band_is_scaled_by_its_own_range():
    samples = np.array([[[0, 10], [500, 20], [1000, 30], [4000, 40]]], np.uint16)
    pixels = reader(bands((0, 1000), (10, 30))).pixels(samples)
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 128, 255, 255])
    np.testing.assert_array_equal(pixels[0, :, 1], [0, 128, 255, 255])


def test_bytes_of_the_whole_range_stay_as_they_are():
    samples = np.random.default_rng(0).integers(0, 256, (9, 7, 2), dtype=np.uint8)
    pixels = reader(bands((0, 255), (0, 255), dtype="uint8")).pixels(samples)
    np.testing.assert_array_equal(pixels, samples)


def test_missing_samples_take_the_fill_of_their_band():
    samples = np.array([[[-9999, 1], [0.5, -9999], [np.nan, np.nan], [-9999, np.nan]]], np.float32)
    one = reader(bands((0, 1), (0, 2), dtype="float32"), -9999)
    np.testing.assert_array_equal(
        one.pixels(samples)[0], [[101, 128], [128, 102], [101, 102], [101, 102]]
    )
    np.testing.assert_array_equal(one.gaps(samples)[0], [False, False, True, True])


def test_infinity_is_the_end_of_the_range():
    samples = np.array([[[-np.inf], [np.inf]]], np.float32)
    found = reader(bands((0, 1), dtype="float32")).pixels(samples)
    np.testing.assert_array_equal(found[0, :, 0], [0, 255])


def test_the_no_data_of_the_file_stands_above_that_of_the_bundle():
    wanted = bands((0, 100), no_data=0.0)
    facts = {"num_samples": 1, "dtype": np.dtype("uint16"), "has_alpha": False, "name": "a.tif"}
    assert BandReader.of(wanted, no_data=7.0, **facts).no_data == 7.0
    assert BandReader.of(wanted, no_data=None, **facts).no_data == 0.0


@pytest.mark.parametrize(
    ("num", "has_alpha", "fits"),
    [(2, False, True), (3, True, True), (3, False, False), (1, False, False)],
)
def test_a_file_must_have_the_bands_of_the_network_and_may_have_alpha(num, has_alpha, fits):
    facts = {"dtype": np.dtype("uint16"), "no_data": None, "name": "a.tif"}

    def of() -> BandReader:
        return BandReader.of(bands((0, 9), (0, 9)), num_samples=num, has_alpha=has_alpha, **facts)

    if fits:
        of()
        return
    with pytest.raises(
        ImageBandsError, match=rf"a.tif has {num} bands? and the network takes files of 2"
    ):
        of()


def test_8_bit_files_cannot_stand_for_deeper_ones():
    path = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path, "PNG")
    with pytest.raises(
        ImageBandsError, match="of uint8, 0 to 255, and the network takes 3 of uint16, up to 4000"
    ):
        decode_image(path.getvalue(), bands=bands((0, 4000), (0, 4000), (0, 4000)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (16, 32), "compression": "zlib"},
        {"planarconfig": "separate", "rowsperstrip": 9, "compression": "lzw"},
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
def test_rows_are_those_of_the_whole_image(tmp_path, options, dtype):
    samples = np.random.default_rng(0).integers(0, 120, (50, 70, 5)).astype(dtype)
    path = tmp_path / "a.tif"
    stored = np.moveaxis(samples, -1, 0) if options.get("planarconfig") == "separate" else samples
    tag = (42113, "s", 0, "7", True)
    tifffile.imwrite(
        path,
        stored,
        photometric="minisblack",
        extratags=[tag],
        **{"planarconfig": "contig", **options},
    )
    wanted = bands(*[(0, 100 + number) for number in range(5)], dtype=dtype)
    decoded = decode_image(path, bands=wanted)
    assert (decoded.pixels[samples[..., 2] == 7][:, 2] == 103).all()
    with open_image(path, bands=wanted) as opened:
        parts = [opened.rows.read(top, min(50, top + 13)) for top in range(0, 50, 13)]
        np.testing.assert_array_equal(np.concatenate(parts), decoded.pixels)
        assert opened.info == decoded.info


@pytest.mark.parametrize("orientation", range(1, 9))
def test_many_bands_are_turned_upright(orientation):
    samples = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
    stream = io.BytesIO()
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(
        stream, samples, photometric="minisblack", planarconfig="contig", extratags=[tag]
    )
    wanted = bands(*[(0, 255)] * 5, dtype="uint8")
    found = decode_image(stream.getvalue(), bands=wanted).pixels
    for first in (0, 2):  # OpenCV turns three channels
        rgb = io.BytesIO()
        part = np.ascontiguousarray(samples[..., first : first + 3])
        tifffile.imwrite(rgb, part, photometric="rgb", extratags=[tag])
        expected = decode_image(rgb.getvalue()).pixels
        np.testing.assert_array_equal(found[..., first : first + 3], expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 13])
def test_each_channel_is_resized_as_it_would_be_alone(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, channels), dtype=np.uint8)
    found = resize_bands(pixels, (17, 21), cv2.INTER_AREA)
    assert found.shape == (17, 21, channels)
    alone = [
        cv2.resize(np.ascontiguousarray(pixels[..., c]), (21, 17), interpolation=cv2.INTER_AREA)
        for c in range(channels)
    ]
    assert np.abs(found.astype(int) - np.stack(alone, axis=-1)).max() <= 1


def test_red_green_and_blue_are_shown_where_they_are_named():
    named = [
        Band(number=n, name=name, low=0, high=1, fill=0)
        for n, name in enumerate(("Blue", "Green", "Red", "NIR"), 1)
    ]
    colours = Bands(in_file=4, dtype="uint16", channels=tuple(named))
    pixels = np.arange(4, dtype=np.uint8).reshape(1, 1, 4)
    assert show(pixels, colours).tolist() == [[[2, 1, 0]]]
    assert show(pixels, bands(*[(0, 1)] * 4)).tolist() == [[[0, 1, 2]]]
    assert show(pixels[..., :2], bands(*[(0, 1)] * 2)).tolist() == [[[0, 0, 0]]]


def test_a_person_may_choose_the_bands_that_are_shown_by_their_numbers_in_the_file():
    some = Bands(
        in_file=6,
        dtype="uint16",
        channels=tuple(Band(number=n, name=f"b{n}", low=0, high=1, fill=0) for n in (6, 2, 4)),
    )
    pixels = np.array([60, 20, 40], np.uint8).reshape(1, 1, 3)
    assert shown_numbers(some) == (6, 2, 4)
    assert show(pixels, some).tolist() == [[[60, 20, 40]]]
    assert show(pixels, some, (4, 6, 6)).tolist() == [[[40, 60, 60]]]
    assert show(pixels, some, (2,)).tolist() == [[[20, 20, 20]]]


def test_a_preview_stretches_each_band_without_missing_samples():
    samples = np.linspace(0, 1, 400).reshape(20, 20, 1).repeat(4, axis=2)
    samples[0] = -9999
    found = preview(StoredSamples(samples, False, -9999, {}))
    assert found.shape == (20, 20, 3)
    assert found[1, 0, 0] < 5
    assert found[-1, -1, 0] > 250
