from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.models.images.orientation import to_upright
from maskzoo.training.data.masks.stored.maskfile import pack_colours, read_raw_mask
from maskzoo.training.data.records.rawmask import NAN, UNSET, MaskOptions

IDS = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
COLOURS = np.array([[0x3C1098, 0x8429F6, 0x6EC1E4], [0x6EC1E4, 0x8429F6, 0x3C1098]], np.uint32)


def as_rgb(codes: np.ndarray) -> np.ndarray:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)


def test_packed_colours_read_like_html():
    assert np.array_equal(pack_colours(as_rgb(COLOURS)), COLOURS)


def test_grey_file_gives_its_values(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "m.png")
    raw = read_raw_mask(tmp_path / "m.png")
    assert (raw.kind, raw.mode, raw.height_width) == ("values", "L", (2, 3))
    assert np.array_equal(raw.codes, IDS)


def test_indexed_file_gives_indices_and_palette(tmp_path):
    image = Image.fromarray(IDS)
    image.putpalette([1, 2, 3, 4, 5, 6, 7, 8, 9])
    image.save(tmp_path / "m.png")
    raw = read_raw_mask(tmp_path / "m.png")
    assert raw.kind == "values"
    assert np.array_equal(raw.codes, IDS)
    assert raw.as_colours()[0].tolist() == [0x010203, 0x040506, 0x070809]


def test_rgb_file_gives_packed_colours(tmp_path):
    Image.fromarray(as_rgb(COLOURS)).save(tmp_path / "m.png")
    raw = read_raw_mask(tmp_path / "m.png")
    assert raw.kind == "colours"
    assert np.array_equal(raw.codes, COLOURS)


def test_rgb_file_with_equal_channels_gives_values(tmp_path):
    Image.fromarray(np.repeat(IDS[..., None], 3, axis=2)).save(tmp_path / "m.png")
    raw = read_raw_mask(tmp_path / "m.png")
    assert raw.kind == "values"
    assert np.array_equal(raw.codes, IDS)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_pngs_of_few_bits_give_what_is_stored(tmp_path, bits):
    """A PNG by its specification: https://www.w3.org/TR/png/."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, bits, 0, 0, 0, 0))
    rows = b""
    for line in IDS:
        number = int(
            "".join(f"{code:0{bits}b}" for code in line).ljust(-(-3 * bits // 8) * 8, "0"), 2
        )
        rows += b"\0" + number.to_bytes(-(-3 * bits // 8), "big")
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "m.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + body)
    assert np.array_equal(read_raw_mask(tmp_path / "m.png").codes, IDS)


def test_one_bit_file_gives_0_and_255(tmp_path):
    Image.fromarray(IDS > 0).save(tmp_path / "m.png")
    assert read_raw_mask(tmp_path / "m.png").codes.tolist() == [[0, 255, 255], [255, 255, 0]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_values_do_not_wrap(tmp_path, suffix):
    deep = IDS.astype(np.uint16) * 1000
    Image.fromarray(deep).save(tmp_path / f"m.{suffix}")
    assert read_raw_mask(tmp_path / f"m.{suffix}").codes.tolist() == deep.tolist()


def test_opaque_alpha_is_dropped(tmp_path):
    rgba = np.concatenate([as_rgb(COLOURS), np.full((2, 3, 1), 255, np.uint8)], axis=2)
    Image.fromarray(rgba).save(tmp_path / "m.png")
    assert np.array_equal(read_raw_mask(tmp_path / "m.png").codes, COLOURS)


def test_alpha_is_the_mask_where_the_colour_is_one(tmp_path):
    rgba = np.full((2, 3, 4), 200, np.uint8)
    rgba[..., 3] = np.where(IDS == 1, 255, 0)
    Image.fromarray(rgba).save(tmp_path / "m.png")
    assert np.array_equal(read_raw_mask(tmp_path / "m.png").codes, rgba[..., 3])


def test_transparent_pixels_are_black(tmp_path):
    rgba = np.concatenate([as_rgb(COLOURS), np.full((2, 3, 1), 255, np.uint8)], axis=2)
    rgba[0, 0, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "m.png")
    assert read_raw_mask(tmp_path / "m.png").codes[0, 0] == 0


@pytest.mark.parametrize("axis", [0, -1])
def test_one_hot_planes_become_their_number(tmp_path, axis):
    ids = np.kron(IDS, np.ones((4, 4), np.uint8))
    planes = np.stack([value == ids for value in range(6)]).astype(np.uint8)  # (planes, H, W)
    planes[:, -1, -1] = 0
    contig = None if axis == 0 else "contig"
    stack = np.moveaxis(planes, 0, axis)
    tifffile.imwrite(tmp_path / "m.tif", stack, photometric="minisblack", planarconfig=contig)
    raw = read_raw_mask(tmp_path / "m.tif")
    expected = ids.astype(int)
    expected[-1, -1] = UNSET
    assert raw.mode == "onehot"
    assert raw.codes.tolist() == expected.tolist()


def test_pages_that_are_not_binary_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.stack([IDS, IDS]), photometric="minisblack")
    with pytest.raises(DataError, match="2 planes that are not binary"):
        read_raw_mask(tmp_path / "m.tif")


def test_float_file_of_whole_numbers_is_read(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", IDS.astype(np.float32))
    assert read_raw_mask(tmp_path / "m.tif").codes.tolist() == IDS.tolist()


def test_probabilities_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", IDS.astype(np.float32) + 0.5)
    with pytest.raises(DataError, match=r"holds fractions such as 0\.5"):
        read_raw_mask(tmp_path / "m.tif")


def test_masks_larger_than_pillows_limit_are_read(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "m.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_raw_mask(tmp_path / "m.png").height_width == (20, 20)


def test_truncated_file_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(tmp_path / "m.png")
    content = (tmp_path / "m.png").read_bytes()
    (tmp_path / "m.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"m\.png: the file cannot be read"):
        read_raw_mask(tmp_path / "m.png")


def test_text_is_not_a_mask(tmp_path):
    (tmp_path / "m.png").write_text("hello")
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_raw_mask(tmp_path / "m.png")


def test_an_empty_file_is_reported_as_empty(tmp_path):
    (tmp_path / "m.png").touch()
    with pytest.raises(DataError, match=r"m\.png: the file is empty; export this mask again"):
        read_raw_mask(tmp_path / "m.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_where_white_is_zero_is_not_inverted(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "m.tif", IDS.astype(dtype), photometric="miniswhite")
    assert read_raw_mask(tmp_path / "m.tif").codes.tolist() == IDS.tolist()


def test_the_set_bits_of_a_tiff_are_255_whatever_its_photometric_tag_says(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", IDS > 0, photometric="miniswhite")
    assert read_raw_mask(tmp_path / "m.tif").codes.tolist() == [[0, 255, 255], [255, 255, 0]]


def test_an_indexed_tiff_gives_indices_and_palette(tmp_path):
    image = Image.fromarray(IDS)
    image.putpalette([1, 2, 3, 4, 5, 6, 7, 8, 9])
    image.save(tmp_path / "m.tif")
    raw = read_raw_mask(tmp_path / "m.tif")
    assert (raw.mode, raw.codes.tolist()) == ("P", IDS.tolist())
    assert raw.as_colours()[0].tolist() == [0x010203, 0x040506, 0x070809]


def test_a_turned_tiff_is_read_upright(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "m.tif", tiffinfo={274: 6})
    assert read_raw_mask(tmp_path / "m.tif").codes.tolist() == np.rot90(IDS, -1).tolist()


def test_negative_values_nan_and_gdals_no_data_are_told_apart(tmp_path):
    values = np.array([[-1, np.nan, -3.4e38, 2]], np.float32)
    tag = [(42113, "s", 0, "-9999", True)]
    tifffile.imwrite(tmp_path / "m.tif", np.tile(values, (2, 1)), extratags=tag)
    raw = read_raw_mask(tmp_path / "m.tif")
    assert raw.codes[0].tolist() == [-1, NAN, NAN, 2]
    assert raw.no_data == -9999


def test_the_smallest_of_overlapping_planes_lies_on_top_and_the_overlap_is_counted(tmp_path):
    whole = np.ones((4, 5), np.uint8)
    part = np.pad(np.ones((2, 3), np.uint8), 1)
    tifffile.imwrite(tmp_path / "m.tif", np.stack([whole, part]), photometric="minisblack")
    raw = read_raw_mask(tmp_path / "m.tif")
    assert raw.codes.tolist() == part.tolist()
    assert raw.overlap == 6


def test_half_transparent_pixels_are_counted(tmp_path):
    rgba = np.concatenate([as_rgb(COLOURS), np.full((2, 3, 1), 100, np.uint8)], axis=2)
    rgba[0, 0, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "m.png")
    raw = read_raw_mask(tmp_path / "m.png")
    assert raw.codes.max() == 0
    assert raw.half_transparent == 5


SOFT = np.array([[0, 100, 128], [129, 200, 255]], np.uint8)
INSIDE = (SOFT >= 128).astype(int).tolist()


def split(path, threshold=128.0):
    return read_raw_mask(path, MaskOptions(threshold=threshold))


def shown(pixels, mode):
    image = Image.fromarray(pixels)
    if mode == "P":  # indices of a palette that goes from white to black
        image = Image.fromarray(255 - pixels)
        image.putpalette(np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 3).tolist())
    elif mode == "alpha":
        image = Image.merge("RGBA", [Image.new("L", image.size, 9)] * 3 + [image])
    elif mode == "RGB":
        image = image.convert("RGB")
    return image


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "alpha"])
def test_a_threshold_makes_soft_masks_binary(tmp_path, mode):
    shown(SOFT, mode).save(tmp_path / "m.png")
    raw = split(tmp_path / "m.png")
    assert (raw.kind, raw.palette) == ("values", None)
    assert raw.codes.tolist() == INSIDE


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_threshold_of_fractions_leaves_what_is_no_number_unlabelled(tmp_path, dtype):
    values = (SOFT / 255).astype(dtype)
    values[0, 0] = np.nan
    np.save(tmp_path / "m.npy", values)
    expected = [[NAN, 0, 1], [1, 1, 1]]
    assert split(tmp_path / "m.npy", 128 / 256).codes.tolist() == expected


def test_the_set_bits_of_a_mask_lie_above_every_threshold(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", SOFT > 127)
    assert split(tmp_path / "m.tif").codes.tolist() == INSIDE


def test_a_threshold_is_refused_for_colours_and_planes(tmp_path):
    Image.fromarray(np.dstack([SOFT, SOFT, 255 - SOFT])).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="it holds colours, and `threshold`"):
        split(tmp_path / "m.png")
    np.save(tmp_path / "m.npy", np.zeros((2, 8, 8), np.float32))
    with pytest.raises(DataError, match="has 2 planes, and `threshold`"):
        split(tmp_path / "m.npy")


def test_fractions_without_a_threshold_name_the_line_that_decides(tmp_path):
    np.save(tmp_path / "m.npy", SOFT / np.float32(255))
    with pytest.raises(DataError, match=r"holds fractions such as .*`threshold: 0\.5`"):
        read_raw_mask(tmp_path / "m.npy")


@pytest.mark.parametrize("planes", [[0.8, 0.1, 0.1], [0.5, 0.25, 0.25]])
def test_planes_of_probabilities_are_refused_with_argmax(tmp_path, planes):
    np.save(tmp_path / "m.npy", np.tile(np.array(planes, np.float32), (8, 8, 1)))
    with pytest.raises(DataError, match=r"3 planes of fractions.*numpy\.argmax\(mask, axis=2\)"):
        read_raw_mask(tmp_path / "m.npy")


def test_planes_without_a_zero_are_not_binary(tmp_path):
    np.save(tmp_path / "m.npy", np.ones((2, 8, 8), np.int32))
    with pytest.raises(DataError, match="2 planes that are not binary"):
        read_raw_mask(tmp_path / "m.npy")


PAINTED = np.array([[(0, 0, 0), (200, 10, 10)], [(10, 200, 10), (0, 0, 255)]], np.uint8)


@pytest.mark.parametrize("scale", [1, 257])
def test_colours_of_16_bits_that_were_widened_are_those_of_8(tmp_path, scale):
    tifffile.imwrite(tmp_path / "m.tif", PAINTED.astype(np.uint16) * scale, photometric="rgb")
    codes = read_raw_mask(tmp_path / "m.tif").codes
    assert codes.tolist() == [[0, 0xC80A0A], [0x0AC80A, 0x0000FF]]


def test_colours_of_16_bits_and_of_printing_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", PAINTED.astype(np.uint16) * 100, photometric="rgb")
    with pytest.raises(DataError, match="colours are uint16, not 8 bits"):
        read_raw_mask(tmp_path / "m.tif")
    Image.fromarray(PAINTED).convert("CMYK").save(tmp_path / "m.tif")
    with pytest.raises(DataError, match="CMYK"):
        read_raw_mask(tmp_path / "m.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_by_its_own_tag(tmp_path, orientation):
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = tmp_path / "a.tif"
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(path, codes, photometric="minisblack", extratags=tag)
    np.testing.assert_array_equal(read_raw_mask(path).codes, to_upright(codes, orientation))
