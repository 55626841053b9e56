"""EXIF orientation, by the standard's words for where the first row and column lie."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.images.orientation import from_upright, to_upright, to_upright_bands

STORED = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],  # row 0 is the top, column 0 is the left side
    2: [[3, 2, 1], [6, 5, 4]],  # row 0 is the top, column 0 is the right side
    3: [[6, 5, 4], [3, 2, 1]],  # row 0 is the bottom, column 0 is the right side
    4: [[4, 5, 6], [1, 2, 3]],  # row 0 is the bottom, column 0 is the left side
    5: [[1, 4], [2, 5], [3, 6]],  # row 0 is the left side, column 0 is the top
    6: [[4, 1], [5, 2], [6, 3]],  # row 0 is the right side, column 0 is the top
    7: [[6, 3], [5, 2], [4, 1]],  # row 0 is the right side, column 0 is the bottom
    8: [[3, 6], [2, 5], [1, 4]],  # row 0 is the left side, column 0 is the bottom
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_rows_and_columns_go_where_the_standard_says(orientation: int) -> None:
    np.testing.assert_array_equal(to_upright(STORED, orientation), UPRIGHT[orientation])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.bool_])
@pytest.mark.parametrize("channels", [(), (3,), (40,)])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_from_upright_undoes_to_upright(
    orientation: int, channels: tuple[int, ...], dtype: type[np.generic]
) -> None:
    planes = np.stack([np.array(UPRIGHT[orientation]) % (7 + shift) for shift in range(40)], -1)
    stored = np.stack([STORED % (7 + shift) for shift in range(40)], -1)
    shape = (..., 0) if channels == () else (..., slice(channels[0]))
    back = from_upright(planes[shape].astype(dtype), orientation)
    np.testing.assert_array_equal(back, stored[shape].astype(dtype))
    assert back.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("orientation", [0, 9, -1])
def test_other_numbers_change_nothing(orientation: int) -> None:
    np.testing.assert_array_equal(to_upright(STORED, orientation), STORED)
    np.testing.assert_array_equal(from_upright(STORED, orientation), STORED)


@pytest.mark.parametrize("orientation", [0, *UPRIGHT, 9])
def test_many_bands_turn_as_each_of_them_does(orientation: int) -> None:
    bands = np.random.default_rng(0).integers(0, 60_000, (3, 4, 7), np.uint16)
    turned = to_upright_bands(bands, orientation)
    for number in range(7):
        one = to_upright(np.ascontiguousarray(bands[..., number]), orientation)
        np.testing.assert_array_equal(turned[..., number], one)
