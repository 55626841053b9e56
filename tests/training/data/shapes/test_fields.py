from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.shapes.fields import checked_names, identifier, points_of, size_of


@pytest.mark.parametrize("value", [7, 7.0, "7", " 7 "])
def test_an_identifier_may_be_a_number_or_text(value: object) -> None:
    assert identifier(value) == "7"


@pytest.mark.parametrize(
    "value", [[[1, 2, 3]], [1, 2], [[1, "x"]], [[1, None]], "ab", [[1, 1e999]]]
)
def test_what_is_no_list_of_pairs_is_no_points(value: object) -> None:
    assert points_of(value) is None


def test_points_are_pairs_of_numbers() -> None:
    assert np.array_equal(points_of([[1, 2.5], ["3", 4]]), [(1, 2.5), (3, 4)])
    assert points_of([]).shape == (0, 2)


@pytest.mark.parametrize("row", [{}, {"h": 0, "w": 3}, {"h": None, "w": 3}, {"h": "x", "w": 3}])
def test_a_size_that_says_nothing_is_none(row: dict) -> None:
    assert size_of(row, "h", "w") is None
    assert size_of({"h": "4", "w": 3}, "h", "w") == (4, 3)


def test_more_classes_than_values_are_refused_with_the_name_of_the_tool() -> None:
    assert len(checked_names([str(number) for number in range(253)], "YOLO")) == 253
    with pytest.raises(DataError, match="the YOLO polygons are of 254 classes; at most 253"):
        checked_names([str(number) for number in range(254)], "YOLO")
