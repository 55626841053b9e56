from __future__ import annotations

import numpy as np

from maskzoo.training.data.records.rawmask import RawMask


def test_values_become_grey_and_those_beyond_a_byte_white() -> None:
    raw = RawMask(np.array([[0, 7, 300, -1]], np.int32), "values", "I")
    assert raw.as_colours().tolist() == [[0, 0x070707, 0xFFFFFF, 0]]


def test_indices_become_the_colours_of_their_palette() -> None:
    raw = RawMask(np.array([[0, 1, 2]], np.uint8), "values", "P", {0: 0x3C1098, 2: 0xFEDD3A})
    assert raw.as_colours().tolist() == [[0x3C1098, 0x010101, 0xFEDD3A]]


def test_colours_stay_and_the_size_is_height_and_width() -> None:
    raw = RawMask(np.array([[0x3C1098], [0]], np.uint32), "colours", "RGB")
    assert raw.as_colours().tolist() == [[0x3C1098], [0]]
    assert raw.height_width == (2, 1)
