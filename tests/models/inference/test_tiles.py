"""Tiles: they cover the image, overlap enough, lie on the network's grid, and weigh 1 in all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.models.errors import SpecError
from maskzoo.models.inference.tiles import ALIGN, lay_tiles, lay_window


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    tile=st.tuples(st.integers(64, 300), st.integers(64, 300)),
    overlap=st.floats(0, 0.75),
)
def test_the_weights_over_each_pixel_sum_to_one(height, width, tile, overlap):
    grid = lay_tiles((height, width), tile, overlap)
    total = np.zeros((height, width))
    for row, row_weights in enumerate(grid.rows.weights()):
        for column, column_weights in enumerate(grid.columns.weights()):
            part = np.s_[
                grid.rows.starts[row] : grid.rows.stops[row],
                grid.columns.starts[column] : grid.columns.stops[column],
            ]
            total[part] += row_weights[:, None] * column_weights
            assert row_weights.dtype == column_weights.dtype == np.float32
    np.testing.assert_allclose(total, 1, atol=1e-5)


@settings(max_examples=200, deadline=None)
@given(length=st.integers(1, 3000), tile=st.integers(64, 600), overlap=st.floats(0, 0.75))
def test_tiles_lie_on_the_grid_and_overlap_as_asked(length, tile, overlap):
    axis = lay_tiles((length, length), (tile, tile), overlap).rows
    side = -(-tile // ALIGN) * ALIGN
    assert axis.starts[0] == 0
    assert axis.stops[-1] == length
    assert all(start % ALIGN == 0 for start in axis.starts)
    assert all(stop - start == side for start, stop in zip(axis.starts, axis.stops[:-1]))  # noqa: B905
    assert 0 < axis.stops[-1] - axis.starts[-1] <= side
    for stop, start in zip(axis.stops[:-1], axis.starts[1:], strict=True):
        assert stop - start >= min(side * overlap, side - ALIGN) - 1


def test_a_side_shorter_than_a_tile_has_one():
    grid = lay_tiles((50, 300), (128, 128), 0.25)
    assert (grid.rows.starts, grid.rows.stops) == ((0,), (50,))
    assert (grid.columns.starts, grid.columns.stops) == ((0, 96, 192), (128, 224, 300))
    assert grid.num_tiles == 3


def test_the_edge_of_a_tile_counts_nothing_where_another_covers_it():
    first, last = lay_tiles((1, 160), (128, 128), 0.75).columns.weights()
    assert len(first) == len(last) == 128
    shared = 96
    assert np.all(first[-shared // 4 :] == 0)
    assert np.all(last[: shared // 4] == 0)
    np.testing.assert_array_equal(first[:32], 1)
    np.testing.assert_array_equal(last[-32:], 1)
    assert np.all(np.diff(first[32:]) <= 0)


def test_wrong_tiles_are_refused_all_at_once():
    with pytest.raises(SpecError, match="2 mistake") as caught:
        lay_tiles((500, 500), (16, 128), 1.0)
    assert "tile size is 16 x 128; a side needs 64 or more" in str(caught.value)
    assert "overlap is 1.0; it is a fraction of the tile from 0 to 0.75" in str(caught.value)


def test_a_tile_between_two_others_weighs_the_same_from_either_side():
    first, middle, last = lay_tiles((1, 320), (128, 128), 0.25).columns.weights()
    shared = 32
    np.testing.assert_allclose(middle, middle[::-1], rtol=1e-6)
    np.testing.assert_allclose(first, last[::-1], rtol=1e-6)
    assert np.flatnonzero(middle)[0] == shared // 4
    assert np.flatnonzero(middle)[-1] == 127 - shared // 4
    assert first[-shared // 2 - 1] > 0.5 > first[-shared // 2], "the border is in the middle"


@pytest.mark.parametrize(("overlap", "is_allowed"), [(0, True), (0.75, True), (0.751, False)])
def test_the_largest_overlap_is_three_quarters(overlap, is_allowed):
    if is_allowed:
        assert lay_tiles((500, 500), (64, 64), overlap).num_tiles > 1
    else:
        with pytest.raises(SpecError, match=r"overlap is 0\.751"):
            lay_tiles((500, 500), (64, 64), overlap)


def test_the_smallest_tile_has_a_side_of_64():
    assert lay_tiles((64, 65), (64, 64), 0).num_tiles == 2
    with pytest.raises(SpecError, match="tile size is 64 x 63"):
        lay_tiles((64, 65), (64, 63), 0)


@settings(max_examples=200, deadline=None)
@given(
    image=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    size=st.integers(64, 120),
    stride=st.integers(20, 64),
)
def test_a_sliding_window_averages_the_crops_that_cover_a_pixel(image, size, stride):
    grid = lay_window(image, (size, size), (stride, stride))
    counts = np.zeros(image)
    for top in range(0, max(image[0] - size + stride - 1, 0) // stride * stride + 1, stride):
        for left in range(0, max(image[1] - size + stride - 1, 0) // stride * stride + 1, stride):
            bottom, right = min(top + size, image[0]), min(left + size, image[1])
            counts[max(bottom - size, 0) : bottom, max(right - size, 0) : right] += 1
    for row, row_weights in enumerate(grid.rows.weights()):
        for column, column_weights in enumerate(grid.columns.weights()):
            part = np.s_[
                grid.rows.starts[row] : grid.rows.stops[row],
                grid.columns.starts[column] : grid.columns.stops[column],
            ]
            weights = row_weights[:, None] * column_weights
            np.testing.assert_allclose(weights, 1 / counts[part], rtol=1e-5)


def test_the_last_crop_of_a_window_ends_where_the_image_ends():
    rows = lay_window((1400, 50), (769, 769), (513, 513)).rows
    assert (rows.starts, rows.stops) == ((0, 513, 631), (769, 1282, 1400))
