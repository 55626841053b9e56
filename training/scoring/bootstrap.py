"""Confidence interval of the mean IoU, by a bootstrap over images.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile
interval). The images of the split are drawn again with replacement, as many as there are; the
confusion matrices of the draw are added up, and the mean IoU is taken of the sum, by the definition
of `training.scoring.metrics`. The interval is between the percentiles of many draws. Images are
drawn, not pixels: pixels of one image are not independent. It says how another test set of this
size from the same source would differ, nothing of another training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval.

    Args:
        low, high: its ends.
        level: the share of the draws within.
        images: how many there were to draw from.
    """

    low: float
    high: float
    level: float
    resamples: int
    seed: int
    images: int

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return asdict(self) | {"over": "images"}


def mean_iou_interval(
    matrices: Sequence[np.ndarray], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the interval of the mean IoU; None for fewer than two images.

    Args:
        matrices: int64 (K, K) of each image, the truth in rows.
        seed: of the draws.
        resamples: how many draws.
    """
    images = len(matrices)
    if images < 2:
        return None
    stacked = np.stack(matrices).astype(np.float64)  # exact up to 2^53 pixels
    hits = stacked.diagonal(axis1=1, axis2=2)  # (images, K)
    unions = stacked.sum(axis=1) + stacked.sum(axis=2) - hits
    random = np.random.default_rng(seed)
    draws = random.multinomial(images, np.full(images, 1 / images), size=resamples)
    with np.errstate(invalid="ignore"):
        ious = (draws @ hits) / (draws @ unions)  # nan where a class is in no image of the draw
    counted = (~np.isnan(ious)).sum(axis=1)
    means = np.nansum(ious, axis=1)[counted > 0] / counted[counted > 0]
    if not len(means):
        return None
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL, resamples, seed, images)
