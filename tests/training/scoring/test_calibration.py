"""Expected calibration error: by hand, and against a plain loop over pixels."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.scoring.calibration import Calibration, CalibrationBin

IGNORE = 255


def test_the_error_by_hand() -> None:
    """Two bins: 3 pixels at 0.9 of which 2 are right, 1 pixel at 0.3 that is right."""
    calibration = Calibration(2, ignore_index=IGNORE, num_bins=2)
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    calibration.update(truth, np.array([[0, 0, 0, 1]]), np.array([[0.9, 0.9, 0.9, 0.3]]))
    assert calibration.pixels.tolist() == [1, 3]
    assert calibration.error() == pytest.approx(3 / 4 * abs(2 / 3 - 0.9) + 1 / 4 * (1 - 0.3))
    low, high = calibration.bins()
    assert (low.accuracy, high.accuracy) == (1.0, 2 / 3)
    assert high.confidence == pytest.approx(0.9)


def test_it_equals_a_loop_over_pixels_and_images() -> None:
    random = np.random.default_rng(0)
    calibration = Calibration(3, ignore_index=IGNORE)
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(15)]
    for _ in range(3):
        truth = random.choice([0, 1, 2, IGNORE], (11, 13)).astype(np.uint8)
        guess = random.integers(0, 3, (11, 13)).astype(np.uint8)
        confidence = random.uniform(0.3, 1, (11, 13)).astype(np.float16)
        confidence[0, :2] = 1.0
        calibration.update(truth, guess, confidence)
        for t, g, c in zip(truth.flat, guess.flat, confidence.flat, strict=True):
            if t != IGNORE:
                number = next(n for n in range(15) if float(c) <= (n + 1) / 15)
                bins[number].append((float(c), bool(t == g)))
    total = sum(map(len, bins))
    expected = sum(
        len(some) / total * abs(np.mean([r for _, r in some]) - np.mean([c for c, _ in some]))
        for some in bins
        if some
    )
    assert calibration.error() == pytest.approx(expected, abs=1e-12)


def test_nothing_counted_has_no_error() -> None:
    calibration = Calibration(3, ignore_index=IGNORE)
    empty = np.full((2, 2), IGNORE, np.uint8)
    calibration.update(empty, empty, np.ones((2, 2)))
    assert calibration.error() is None
    assert calibration.bins()[0] == CalibrationBin(pixels=0, accuracy=None, confidence=None)


@pytest.mark.parametrize("wrong", [-1, 3])
def test_an_id_that_is_not_a_class_is_an_error_though_truth_and_prediction_agree(
    wrong: int,
) -> None:
    calibration = Calibration(3, ignore_index=IGNORE)
    ids = np.full((2, 2), wrong, np.int16)
    with pytest.raises(DataError, match=f"the ids {wrong}; allowed are 0 to 2"):
        calibration.update(ids, ids, np.ones((2, 2)))
    assert calibration.pixels.sum() == 0
