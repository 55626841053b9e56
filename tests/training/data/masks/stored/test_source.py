from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.stored.maskfile import read_raw_mask
from maskzoo.training.data.records.rawmask import NAN, MaskOptions

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


COLOURS = np.array([[(0, 0, 0), (200, 10, 10)], [(10, 200, 10), (0, 0, 255)]], np.uint8)


@pytest.mark.parametrize("scale", [1, 257])
def test_colours_of_16_bits_that_were_widened_are_those_of_8(tmp_path, scale):
    tifffile.imwrite(tmp_path / "m.tif", COLOURS.astype(np.uint16) * scale, photometric="rgb")
    codes = read_raw_mask(tmp_path / "m.tif").codes
    assert codes.tolist() == [[0, 0xC80A0A], [0x0AC80A, 0x0000FF]]


def test_colours_of_16_bits_and_of_printing_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", COLOURS.astype(np.uint16) * 100, photometric="rgb")
    with pytest.raises(DataError, match="colours are uint16, not 8 bits"):
        read_raw_mask(tmp_path / "m.tif")
    Image.fromarray(COLOURS).convert("CMYK").save(tmp_path / "m.tif")
    with pytest.raises(DataError, match="CMYK"):
        read_raw_mask(tmp_path / "m.tif")
