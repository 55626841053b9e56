"""Images read a few rows at a time: the pixels are those of the whole decode."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.errors import (
    ImageDamagedError,
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
)
from maskzoo.models.images.decode import decode_image
from maskzoo.models.images.jpeg import MAX_SCANS
from maskzoo.models.images.rows import ArrayRows, PixelRows, open_image, open_rows
from maskzoo.models.images.tiff_rows import TiffRows
from tests.models.images.files import encode, noise, with_scans, with_strip

KINDS: dict[str, dict[str, object]] = {
    "mapped": {},
    "strips": {"rowsperstrip": 7, "compression": "zlib"},
    "tiles": {"tile": (32, 48), "compression": "lzw"},
    "plain tiles": {"tile": (16, 16)},
    "one strip": {"rowsperstrip": 1000, "compression": "zlib"},
    "big-endian": {"byteorder": ">", "rowsperstrip": 20, "compression": "zlib"},
    "big-endian mapped": {"byteorder": ">"},
}


def samples(channels: int, top: int, dtype: str) -> np.ndarray:
    shape = (83, 101) if channels == 1 else (83, 101, channels)
    values = (np.random.default_rng(0).random(shape) * top).astype(dtype)
    values[40] = top
    return values


def in_pieces(source: PixelRows, step: int) -> np.ndarray:
    edges = [*range(0, source.height, step), source.height]
    parts = [source.read(*span) for span in pairwise(edges)]
    return np.concatenate(parts)


def check(path: Path) -> None:
    decoded = decode_image(path)
    expected = decoded.pixels
    with open_image(path) as opened:
        assert opened.info == decoded.info
    for step in (1, 30, 83):
        with open_rows(path) as source:
            assert isinstance(source, TiffRows)
            assert (source.height, source.width) == expected.shape[:2]
            found = in_pieces(source, step)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("channels", "photometric"), [(3, "rgb"), (1, "minisblack"), (1, "miniswhite")]
)
@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 4000), ("uint16", 65000)])
def test_rows_are_those_of_the_whole_image(tmp_path, kind, channels, photometric, dtype, top):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, samples(channels, top, dtype), photometric=photometric, **KINDS[kind])
    check(path)


@pytest.mark.parametrize("kind", KINDS)
def test_planes_of_their_own_are_put_together(tmp_path, kind):
    path = tmp_path / "image.tif"
    planes = np.moveaxis(samples(3, 255, "uint8"), -1, 0)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **KINDS[kind])
    check(path)


@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("alpha", [0, 255, "mixed", "feathered"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_fourth_channel_follows_the_rules_of_the_whole_image(tmp_path, extra, alpha, dtype):
    path = tmp_path / "image.tif"
    scale = 257 if dtype == "uint16" else 1
    values = samples(4, 255 * scale, dtype)
    if alpha == "feathered":
        values[:, 40:, 3] = 255 * scale
    elif alpha != "mixed":
        values[..., 3] = int(alpha) * scale
    values[:20, :, 3] = 0 if alpha != 255 else 255 * scale  # a strip in which nothing is opaque
    tifffile.imwrite(
        path, values, photometric="rgb", extrasamples=[extra], rowsperstrip=10, compression="zlib"
    )
    check(path)


@pytest.mark.parametrize("photometric", ["rgb", "minisblack", "miniswhite"])
@pytest.mark.parametrize("value", [0, 65535])
def test_no_data_is_left_out_of_the_depth_in_use(tmp_path, photometric, value):
    path = tmp_path / "image.tif"
    values = samples(3 if photometric == "rgb" else 1, 4000, "uint16")
    values[:30, 20:] = value
    tag = (42113, "s", 0, str(value), True)
    tifffile.imwrite(
        path, values, photometric=photometric, extratags=[tag], rowsperstrip=10, compression="zlib"
    )
    check(path)


def test_a_jpeg_in_a_tiff(tmp_path):
    path = tmp_path / "image.tif"
    smooth = np.array(Image.effect_noise((96, 64), 40).convert("RGB"))
    tifffile.imwrite(path, smooth, photometric="rgb", tile=(32, 32), compression="jpeg")
    expected = decode_image(path).pixels
    with open_rows(path) as source:
        np.testing.assert_array_equal(in_pieces(source, 13), expected)


@pytest.mark.parametrize("kind", ["turned", "palette", "float", "png"])
def test_other_images_are_decoded_as_a_whole(tmp_path, kind):
    path = tmp_path / "image.tif"
    values = samples(3, 255, "uint8")
    if kind == "turned":
        tifffile.imwrite(path, values, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    elif kind == "palette":
        Image.fromarray(values).convert("P").save(path)
    elif kind == "float":
        tifffile.imwrite(path, values.astype(np.float32) / 255, photometric="rgb")
    else:
        Image.fromarray(values).save(path, "PNG")
    with open_rows(path) as source:
        assert isinstance(source, ArrayRows)
        np.testing.assert_array_equal(in_pieces(source, 20), decode_image(path).pixels)


def test_too_many_pixels_are_refused_before_any_is_read(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, samples(3, 255, "uint8"), photometric="rgb")
    with pytest.raises(ImageTooLargeError, match="101 x 83"), open_rows(path, max_pixels=8000):
        pass


def test_damage_is_said_when_its_rows_are_read(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(
        path, samples(3, 255, "uint8"), photometric="rgb", rowsperstrip=20, compression="zlib"
    )
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        offset = file.pages.first.dataoffsets[3]
    data[offset : offset + 40] = bytes(40)
    path.write_bytes(data)
    with open_rows(path) as source:
        assert source.read(0, 40).shape == (40, 101, 3)
        with pytest.raises(ImageDamagedError, match="damaged TIFF"):
            source.read(40, 83)


def test_a_strip_that_is_cut_off_and_announces_few_bytes_is_damage(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, samples(3, 255, "uint8"), photometric="rgb")
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        start, entry = page.dataoffsets[0], page.tags["StripByteCounts"]
    data = bytearray(path.read_bytes())
    data[entry.offset : entry.offset + 12] = struct.pack("<HHII", entry.code, 4, 1, 10)
    path.write_bytes(data[: start + 5000])
    with pytest.raises(ImageDamagedError, match="beyond the file's end"):
        decode_image(path)
    with pytest.raises(ImageDamagedError, match="beyond the file's end"), open_rows(path):
        pass


@pytest.mark.parametrize("options", [{}, {"tile": (128, 160)}])
def test_more_jpeg_scans_than_are_allowed_are_refused_where_they_are_read(tmp_path, options):
    path = tmp_path / "image.tif"
    blank = np.zeros((120, 160, 3), np.uint8)
    tifffile.imwrite(path, blank, photometric="rgb", compression="jpeg", **options)
    path.write_bytes(with_strip(path.read_bytes(), with_scans(MAX_SCANS + 1)))
    with open_rows(path) as source, pytest.raises(ImageFormatError, match="more than 200 scans"):
        source.read(0, 10)


def cut_off(jpeg: bytes) -> bytes:
    start = jpeg.index(b"\xff\xda") + 14
    return jpeg[: start + (len(jpeg) - start) // 2].rstrip(b"\xff") + b"\xff\xd9"


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    at = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2")) + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


@pytest.mark.parametrize("options", [{}, {"tile": (128, 160)}])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (cut_off, "holds fewer pixels"),
        (lambda jpeg: jpeg[:-2], "no end marker"),
        (lambda jpeg: with_size(jpeg, 160, 60_000), "announces 160 x 60000 pixels"),
        (lambda jpeg: with_size(jpeg, 60_000, 120), "announces 60000 x 120 pixels"),
    ],
)
def test_a_jpeg_in_a_tiff_that_lacks_pixels_is_damaged(
    tmp_path, options, progressive, change, reason
):
    path = tmp_path / "image.tif"
    blank = np.zeros((120, 160, 3), np.uint8)
    tifffile.imwrite(path, blank, photometric="rgb", compression="jpeg", **options)
    tiff = path.read_bytes()
    jpeg = encode(noise(), "JPEG", progressive=progressive)
    size = (160, 128) if options else (160, 120)
    whole = encode(noise().resize(size), "JPEG", progressive=progressive)
    path.write_bytes(with_strip(tiff, whole))
    with open_rows(path) as source:
        assert source.read(0, 120).std() > 5
        np.testing.assert_array_equal(decode_image(path).pixels, source.read(0, 120))
    path.write_bytes(with_strip(tiff, change(jpeg)))
    with pytest.raises(ImageDamagedError, match=reason), open_rows(path) as source:
        source.read(0, 10)
    with pytest.raises(ImageDamagedError, match="(strip|tile) 0 of .*" + reason):
        decode_image(path)


def test_an_error_of_the_reader_is_not_taken_for_damage(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, samples(3, 255, "uint8"), photometric="rgb")
    with pytest.raises(KeyError), open_rows(path):
        raise KeyError("cancelled")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match="cannot be read"), open_rows(tmp_path / "none.tif"):
        pass
