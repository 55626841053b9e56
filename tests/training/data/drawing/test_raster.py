from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from maskzoo.training.data.drawing.raster import OutsideError, rasterise
from maskzoo.training.data.records.shape import Bitmap, Ellipse, Rings, Runs

SIZE = (40, 56)
numbers = st.floats(-8, 70, allow_nan=False, width=32) | st.integers(-8, 600).map(lambda n: n / 10)
rings = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=12)


def pixels(area: object, scale: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    part, left, top = rasterise(area, SIZE, scale).pixels()  # type: ignore[arg-type]
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask


@settings(deadline=None, max_examples=300)
@given(st.lists(rings, min_size=1, max_size=3))
def test_polygons_equal_those_of_pycocotools(outlines: list) -> None:
    flat = [[float(value) for point in ring for value in point] for ring in outlines]
    runs = coco_mask.merge(coco_mask.frPyObjects(flat, *SIZE))
    area = Rings(tuple(np.asarray(ring, np.float64) for ring in outlines))
    assert np.array_equal(pixels(area), coco_mask.decode(runs))


@settings(deadline=None, max_examples=150)
@given(rings)
def test_polygons_of_labelme_equal_those_of_its_export_on_the_whole_image(ring: list) -> None:
    canvas = Image.new("L", SIZE[::-1])  # labelme's definition: filled, with the outline
    ImageDraw.Draw(canvas).polygon(ring, fill=1, outline=1)
    area = Rings((np.asarray(ring, np.float64),), border=True)
    assert np.array_equal(pixels(area), np.asarray(canvas))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_run_lengths_equal_what_was_packed(seed: int, fraction: float) -> None:
    mask = (np.random.default_rng(seed).random(SIZE) < fraction).astype(np.uint8)
    packed = coco_mask.encode(np.asfortranarray(mask))
    assert np.array_equal(pixels(Runs(SIZE, packed["counts"])), mask)


def test_holes_are_taken_out() -> None:
    outer = np.array([(4, 4), (24, 4), (24, 24), (4, 24)], float)
    hole = np.array([(8, 8), (12, 8), (12, 12), (8, 12)], float)
    mask = pixels(Rings((outer,), (hole,)))
    assert mask.sum() == 400 - 16
    assert not mask[8:12, 8:12].any()


@pytest.mark.parametrize("border", [False, True])
def test_an_ellipse_has_its_area_whichever_way_it_is_turned(border: bool) -> None:
    for turn in (0, 30, 90):
        mask = pixels(Ellipse((28, 20), (12, 7), turn, border))
        assert mask.sum() == pytest.approx(np.pi * 12 * 7, rel=0.15 if border else 0.03)
        assert mask[20, 28]
    turned = pixels(Ellipse((28, 20), (12, 7), 90))
    assert turned[9, 28]
    assert not turned[20, 17]


def test_the_border_of_labelme_belongs_to_its_shapes() -> None:
    square = np.array([(5, 5), (25, 5), (25, 25), (5, 25)], float)
    assert pixels(Rings((square,), border=True)).sum() == 441
    assert pixels(Rings((square,))).sum() == 400


@pytest.mark.parametrize("scale", [(0.5, 0.5), (2.0, 2.0), (1.0, 0.5)])
def test_a_scaled_bitmap_takes_the_pixels_under_the_centres(scale: tuple[float, float]) -> None:
    source = np.random.default_rng(1).random((12, 14)) > 0.5
    expected = np.zeros(SIZE, np.uint8)
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            row, column = int((y + 0.5) / scale[1]) - 3, int((x + 0.5) / scale[0]) - 5
            if 0 <= row < 12 and 0 <= column < 14:
                expected[y, x] = source[row, column]
    assert np.array_equal(pixels(Bitmap(source, 5, 3), scale), expected)


@pytest.mark.parametrize("value", [1e9, float("inf"), float("nan"), -1e6])
def test_wild_coordinates_are_refused_before_they_cost_memory(value: float) -> None:
    with pytest.raises(OutsideError):
        pixels(Rings((np.array([(1, 1), (5, 1), (value, 9)]),)))


@pytest.mark.parametrize(("farthest", "is_drawn"), [(8 * 56, True), (8 * 56 + 0.5, False)])
def test_a_coordinate_may_lie_eight_longer_sides_away(farthest: float, is_drawn: bool) -> None:
    for ring in ([(0, 0), (farthest, 0), (0, 20)], [(0, 0), (20, 0), (0, farthest)]):
        area = Rings((np.asarray(ring, np.float64),))
        if is_drawn:
            assert pixels(area).any()
        else:
            with pytest.raises(OutsideError):
                pixels(area)
