from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.models.errors import DataError
from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.records.shape import Bitmap, ImageShapes, NotDrawn, Rings, Shape

SIZE = (24, 32)


def box(left: int, top: int, right: int, bottom: int, name: str = "cat") -> Shape:
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)
    return Shape(name, Rings((corners,)), "a box")


boxes = st.tuples(
    st.integers(0, 30),
    st.integers(0, 22),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from(["cat", "dog", "cow"]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(boxes, max_size=8), st.integers(0, 3))
def test_every_annotation_is_drawn_covered_or_counted(rows: list, others: int) -> None:
    shapes = [box(x, y, x + w, y + h, name) for x, y, w, h, name in rows]
    not_drawn = tuple(NotDrawn("lines", "a line") for _ in range(others))
    tally = paint(ImageShapes(None, tuple(shapes), not_drawn), ("cat", "dog"), SIZE).tally
    assert tally is not None
    assert tally.found == len(rows) + others
    assert tally.found == tally.drawn + tally.covered + sum(tally.not_drawn.values())


@settings(deadline=None, max_examples=60)
@given(st.lists(boxes, max_size=6))
def test_the_smallest_shape_on_a_pixel_gives_its_class(rows: list) -> None:
    names = ("cat", "dog", "cow")
    expected = np.zeros(SIZE, np.uint8)
    area = np.full(SIZE, 1 << 30)
    for x, y, w, h, name in rows:  # the later of two equal ones, as in a stable sort
        part = np.s_[y : y + h, x : x + w]
        own = expected[part].size
        is_on_top = area[part] >= own
        expected[part] = np.where(is_on_top, names.index(name) + 1, expected[part])
        area[part] = np.where(is_on_top, own, area[part])
    shapes = tuple(box(x, y, x + w, y + h, name) for x, y, w, h, name in rows)
    assert np.array_equal(paint(ImageShapes(None, shapes), names, SIZE).codes, expected)


def test_a_hidden_shape_is_covered() -> None:
    small = (box(2, 2, 6, 10), box(6, 2, 10, 10, "dog"))
    tally = paint(ImageShapes(None, (box(2, 2, 10, 10), *small)), ("cat", "dog"), SIZE).tally
    assert tally is not None
    assert (tally.drawn, tally.covered) == (2, 1)


@pytest.mark.parametrize("stated", [(48, 64), (12, 16), (47, 64), (800, 1066)])
def test_annotations_of_the_same_proportions_are_scaled(stated: tuple[int, int]) -> None:
    corners = np.array([(4, 2), (12, 2), (12, 10), (4, 10)]) * stated[1] / 32
    shapes = (Shape("cat", Rings((corners,)), "one"),)
    raw = paint(ImageShapes(stated, shapes), ("cat",), SIZE)
    assert raw.codes.sum() == 64
    assert raw.tally is not None
    assert raw.tally.scaled_from == stated


def test_other_proportions_are_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match="for 40 x 40, but the image is 32 x 24"):
        paint(ImageShapes((40, 40), ()), ("cat",), SIZE)


@pytest.mark.parametrize(("left", "top"), [(0, 0), (-3, -2), (28, 20), (40, 0)])
def test_a_bitmap_is_cut_at_the_borders(left: int, top: int) -> None:
    pixels = np.random.default_rng(0).random((8, 9)) > 0.5
    large = np.zeros((100, 100), bool)
    large[50 + top : 58 + top, 50 + left : 59 + left] = pixels
    raw = paint(ImageShapes(None, (Shape("cat", Bitmap(pixels, left, top), "b"),)), ("cat",), SIZE)
    assert np.array_equal(raw.codes, large[50:74, 50:82])
