"""Boundary IoU: by hand, against the authors' repeated erosion, and with ignored pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.scoring.boundary import BoundaryCounts, outline, outline_width

IGNORE = 255


def authors_boundary(mask: np.ndarray, width: int) -> np.ndarray:
    """The paper's appendix: a 3x3 kernel, `width` times, the border of the image outside."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return (mask.astype(np.uint8) - inner).astype(bool)


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_the_outline_is_the_authors(width: int, seed: int) -> None:
    noise = np.random.default_rng(seed).random((40, 51)).astype(np.float32)
    mask = cv2.GaussianBlur(noise, (0, 0), 4) > 0.5
    nothing = np.zeros(mask.shape, bool)
    np.testing.assert_array_equal(outline(mask, nothing, width), authors_boundary(mask, width))


def test_a_square_moved_by_one_pixel_by_hand() -> None:
    """10 x 10 squares in 40 x 30, d = 1: outlines of 36 pixels, of which 18 meet."""
    truth, prediction = np.zeros((2, 40, 30), np.uint8)
    truth[10:20, 10:20] = 1
    prediction[10:20, 11:21] = 1
    counts = BoundaryCounts(2, ignore_index=IGNORE)
    counts.update(truth, prediction)
    assert outline_width((40, 30)) == 1
    assert (counts.intersections[1], counts.unions[1]) == (18, 54)
    assert counts.ious()[1] == 1 / 3
    assert 90 / 110 > 1 / 3  # the plain IoU hardly sees it


def test_perfect_is_one_and_absent_is_none() -> None:
    truth = np.zeros((20, 20), np.uint8)
    truth[5:9, 5:9] = 2
    counts = BoundaryCounts(4, ignore_index=IGNORE)
    counts.update(truth, truth)
    assert counts.ious() == [1.0, None, 1.0, None]


def test_counts_of_images_add_up() -> None:
    truths = np.random.default_rng(0).integers(0, 2, (3, 30, 30)).astype(np.uint8)
    guesses = np.random.default_rng(1).integers(0, 2, (3, 30, 30)).astype(np.uint8)
    together = BoundaryCounts(2, ignore_index=IGNORE)
    sums = np.zeros((2, 2), np.int64)
    for truth, guess in zip(truths, guesses, strict=True):
        together.update(truth, guess)
        for index in (0, 1):
            one, other = authors_boundary(truth == index, 1), authors_boundary(guess == index, 1)
            sums[index] += (one & other).sum(), (one | other).sum()
    assert together.ious() == (sums[:, 0] / sums[:, 1]).tolist()


def test_ignored_pixels_make_no_outline_and_count_nowhere() -> None:
    truth = np.zeros((30, 30), np.uint8)
    truth[:, 15:] = IGNORE
    guess = np.zeros((30, 30), np.uint8)
    guess[:, 15:] = 1
    counts = BoundaryCounts(2, ignore_index=IGNORE)
    counts.update(truth, guess)
    assert counts.ious() == [1.0, None]
    edge = outline(truth == 0, truth == IGNORE, 1)
    assert not edge[5:25, 14].any()
    assert edge[5:25, 0].all()


@pytest.mark.parametrize("wrong", [-1, 2])
def test_an_id_that_is_not_a_class_is_an_error_and_counts_nowhere(wrong: int) -> None:
    right = np.ones((9, 9), np.int16)
    counts = BoundaryCounts(2, ignore_index=IGNORE)
    for pair in ((right, np.full_like(right, wrong)), (np.full_like(right, wrong), right)):
        with pytest.raises(DataError, match=f"the ids {wrong}; allowed are 0 to 1"):
            counts.update(*pair)
    assert counts.unions.sum() == 0


@pytest.mark.parametrize(("size", "width"), [((10, 10), 1), ((300, 400), 10), ((1024, 2048), 46)])
def test_the_width_is_two_per_cent_of_the_diagonal(size: tuple[int, int], width: int) -> None:
    assert outline_width(size) == width
