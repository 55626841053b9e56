"""Panes of the report: sizes, and marked pixels on a grey image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from maskzoo.training.report.panes import jpeg_row, mark_pixels, shrink


@pytest.mark.parametrize(
    ("size", "expected"), [((100, 400), (50, 200)), ((400, 1), (200, 1)), ((30, 20), (30, 20))]
)
def test_the_longer_side_is_at_most_what_is_asked_for_and_nothing_is_enlarged(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert shrink(np.zeros((*size, 3), np.uint8), 200).shape == (*expected, 3)


def test_panes_stand_side_by_side() -> None:
    panes = [np.full((40, 20, 3), value, np.uint8) for value in (0, 128, 255)]
    with Image.open(io.BytesIO(jpeg_row(panes, side=20))) as row:
        pixels = np.asarray(row)
    assert pixels.shape == (20, 30, 3)
    assert [int(pixels[10, x, 0]) for x in (4, 14, 24)] == pytest.approx([0, 128, 255], abs=3)


def test_marked_pixels_are_red_and_the_others_pale_grey() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    marked = np.array([[True, False], [False, False]])
    pixels = mark_pixels(image, marked)
    assert pixels[0, 0].tolist() == [226, 45, 45]
    assert pixels[1, 1].tolist() == [170, 170, 170]  # 255 - 255 // 3
    assert image.sum() == 0
