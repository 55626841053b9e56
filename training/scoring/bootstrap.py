"""Confidence interval of the mean IoU, by a bootstrap over images.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile
interval). As many images as the split has are drawn from it with replacement; their confusion
matrices are added up, and the sum has a mean IoU, by the definition of `training.scoring.metrics`.
The interval lies between percentiles of many draws. Images are drawn, not pixels, as the pixels of
one image are not independent. The interval estimates how much the score would vary on another test
set of this size from the same source; it says nothing about training again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval.

    Args:
        low, high: its ends.
        level: the fraction of the draws within.
        resamples: the number of draws.
        seed: of the draws.
        images: the number of images drawn from.
    """

    low: float
    high: float
    level: float
    resamples: int
    seed: int
    images: int


def mean_iou_interval(
    matrices: Sequence[np.ndarray], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the interval of the mean IoU; None for fewer than two images.

    Args:
        matrices: int64 (K, K) of each image, the truth in rows.
        seed: of the draws.
        resamples: the number of draws.
    """
    images = len(matrices)
    if images < 2:
        return None
    stacked = np.stack(matrices).astype(np.float64)  # exact up to 2^53 pixels
    hits = stacked.diagonal(axis1=1, axis2=2)  # (images, K)
    truth = stacked.sum(axis=2)
    unions = truth + stacked.sum(axis=1) - hits
    random = np.random.default_rng(seed)
    draws = random.multinomial(images, np.full(images, 1 / images), size=resamples)
    with np.errstate(invalid="ignore"):
        ious = (draws @ hits) / (draws @ unions)
    # the mean of a draw is over the classes in its truth; a draw without any has none
    in_truth = draws @ truth > 0
    counted = in_truth.sum(axis=1)
    means = np.where(in_truth, ious, 0).sum(axis=1)[counted > 0] / counted[counted > 0]
    if not len(means):
        return None
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL, resamples, seed, images)
