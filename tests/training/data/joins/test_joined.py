from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.joins.joined import JoinedMasks, read_part
from maskzoo.training.data.masks.reader import MaskReader


def square(top: int, left: int, side: int, value: int = 255) -> np.ndarray:
    mask = np.zeros((12, 16), np.uint8)
    mask[top : top + side, left : left + side] = value
    return mask


def test_files_are_joined_and_the_smaller_part_lies_on_top(tmp_path: Path, write_image) -> None:
    image = tmp_path / "a.jpg"
    small = write_image(tmp_path / "small.png", square(3, 3, 2, 1))
    large = write_image(tmp_path / "large.png", square(2, 2, 6))
    joined = JoinedMasks(("car", "road"), {image: [(0, small), (1, large)]})
    raw = MaskReader(joined).read(image, small, (12, 16), 1)
    expected = np.zeros((12, 16), np.uint8)
    expected[2:8, 2:8] = 2
    expected[3:5, 3:5] = 1
    assert np.array_equal(raw.codes, expected)
    assert raw.tally is not None
    assert (raw.tally.found, raw.tally.drawn) == (2, 2)


def test_an_image_without_parts_is_background(tmp_path: Path, write_image) -> None:
    empty = write_image(tmp_path / "a.png", square(0, 0, 0))
    joined = JoinedMasks(("car",), {tmp_path / "a.jpg": [(0, empty)]})
    for image in (tmp_path / "a.jpg", tmp_path / "b.jpg"):
        raw = MaskReader(joined).read(image, empty, (12, 16), 1)
        assert raw.codes.shape == (12, 16)
        assert not raw.codes.any()


def test_parts_of_different_sizes_are_told(tmp_path: Path, write_image) -> None:
    image = tmp_path / "a.jpg"
    one = write_image(tmp_path / "one.png", square(0, 0, 3))
    other = write_image(tmp_path / "other.png", square(0, 0, 3)[:6])
    joined = JoinedMasks(("car", "road"), {image: [(0, one), (1, other)]})
    with pytest.raises(DataError, match=r"a\.jpg differ in size: 16 x 12 and 16 x 6"):
        joined.read(image, one)


def test_soft_edges_count_from_the_middle_and_many_values_are_an_error(
    tmp_path: Path, write_image
) -> None:
    soft = square(2, 2, 8)
    soft[2, 2:10] = 100
    soft[9, 2:10] = 200
    inside = read_part(write_image(tmp_path / "soft.png", soft))
    assert inside[3:10, 2:10].all()
    assert int(inside.sum()) == 7 * 8
    many = np.arange(192, dtype=np.uint8).reshape(12, 16)
    with pytest.raises(DataError, match="the file holds 192 values"):
        read_part(write_image(tmp_path / "many.png", many))
