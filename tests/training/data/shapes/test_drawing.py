from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.shapes.drawing import as_mask, blank, checked_names, fill


def drawn(points: list[tuple[float, float]], size: tuple[int, int] = (6, 8)) -> np.ndarray:
    canvas = blank(size)
    fill(canvas, np.asarray(points, np.float64).reshape(-1, 2), 3)
    return as_mask(canvas).codes


def test_a_polygon_is_filled_with_its_corners() -> None:
    expected = np.zeros((6, 8), np.uint8)
    expected[1:4, 2:6] = 3
    assert np.array_equal(drawn([(2, 1), (5, 1), (5, 3), (2, 3)]), expected)


def test_what_lies_outside_the_image_is_cut_off() -> None:
    assert np.array_equal(drawn([(-9, -9), (20, -9), (20, 20), (-9, 20)]), np.full((6, 8), 3))


@pytest.mark.parametrize("points", [[], [(1, 1), (5, 5)], [(1, 1), (5, 1), (float("nan"), 4)]])
def test_what_has_no_area_draws_nothing(points: list[tuple[float, float]]) -> None:
    assert not drawn(points).any()


def test_more_classes_than_values_are_refused_with_the_name_of_the_tool() -> None:
    assert len(checked_names([str(number) for number in range(253)], "YOLO")) == 253
    with pytest.raises(DataError, match="the YOLO polygons are of 254 classes; at most 253"):
        checked_names([str(number) for number in range(254)], "YOLO")
