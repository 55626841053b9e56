from __future__ import annotations

import numpy as np

from maskzoo.training.data.masks.edges import edge_runs, is_neutral
from maskzoo.training.data.records.rawmask import RawMask


def runs_of(codes, code=255):
    codes = np.asarray(codes, np.int32)
    every, at_edges = edge_runs(RawMask(codes, "values", "L"), np.unique(codes).tolist())
    return every[code], at_edges[code]


def test_the_runs_of_a_contour_between_two_codes_lie_at_edges():
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 3], mask[:, 4:] = 255, 1
    # Eight runs along rows lie between 0 and 1; one along the column ends at both margins.
    assert runs_of(mask) == (9, 9)


def test_the_runs_of_a_line_on_one_code_do_not():
    mask = np.zeros((8, 8), np.uint8)
    mask[4, 2:6] = 255
    mask[0, 0] = 7
    assert runs_of(mask) == (5, 0)


def test_the_runs_of_a_margin_lie_at_edges():
    mask = np.ones((8, 8), np.uint8)
    mask[:2] = 255
    mask[5, 5] = 2
    assert runs_of(mask) == (10, 10)


def test_binary_masks_have_no_void():
    mask = np.zeros((4, 4), np.int32)
    mask[1] = 255
    assert edge_runs(RawMask(mask, "values", "L"), [0, 255]) == ({}, {})


def test_colours_are_neutral_where_their_parts_are_equal():
    assert [is_neutral(code) for code in (0, 0x808080, 0xFFFFFF, 0x808081)] == [True] * 3 + [False]
