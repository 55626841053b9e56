from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.decoding import decode_labels
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.rawmask import RawMask


def raw(codes: list[list[int]], kind: str = "values", dtype: type = np.uint8) -> RawMask:
    return RawMask(np.array(codes, dtype), kind, "L" if kind == "values" else "RGB")


def test_values_are_looked_up():
    encoding = MaskEncoding("values", ((0, 0), (7, 1), (255, IGNORE)))
    labels = decode_labels(raw([[0, 7, 255]]), encoding)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0, 1, 255]]


def test_palette_files_and_rgb_files_agree_by_colour():
    encoding = MaskEncoding("colours", ((0xFF0000, 0), (0x00FF00, 1)))
    rgb = RawMask(np.array([[0xFF0000, 0x00FF00]], np.uint32), "colours", "RGB")
    first = RawMask(np.array([[5, 9]], np.uint8), "values", "P", {5: 0xFF0000, 9: 0x00FF00})
    second = RawMask(np.array([[1, 0]], np.uint8), "values", "P", {1: 0xFF0000, 0: 0x00FF00})
    for mask in (rgb, first, second):
        assert decode_labels(mask, encoding).tolist() == [[0, 1]]


def test_16_bit_and_negative_values_reach_their_class():
    encoding = MaskEncoding("values", ((-1, IGNORE), (0, 0), (40000, 1), (70000, 2), (80000, 3)))
    labels = decode_labels(raw([[0, 40000, -1, 70000, 80000]], dtype=np.int32), encoding)
    assert labels.tolist() == [[0, 1, IGNORE, 2, 3]]
    with pytest.raises(DataError, match=r"in no class: 90000 \(1 px\)"):
        decode_labels(raw([[90000]], dtype=np.int32), encoding)


def test_unknown_values_are_named_with_their_counts():
    encoding = MaskEncoding("values", ((0, 0), (1, 1)))
    with pytest.raises(DataError, match=r"in no class: 9 \(2 px\), 4 \(1 px\)"):
        decode_labels(raw([[0, 9, 9, 4]]), encoding)


def test_colours_under_a_description_by_values_are_refused():
    encoding = MaskEncoding("values", ((0, 0),))
    with pytest.raises(DataError, match="holds colours"):
        decode_labels(raw([[0xFF0000]], "colours", np.uint32), encoding)
