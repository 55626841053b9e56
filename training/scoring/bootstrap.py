"""Confidence interval of the mean IoU, by a bootstrap over images.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile
interval). As many images as the split has are drawn from it with replacement; their confusion
matrices are added up, and the sum has a mean IoU, by the definition of `training.scoring.metrics`.
The interval lies between percentiles of many draws. Images are drawn, not pixels, as the pixels of
one image are not independent. The interval estimates how much the score would vary on another test
set of this size from the same source; it says nothing about training again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskzoo.models.files import replacing

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


def margins(matrix: np.ndarray) -> np.ndarray:
    """Return hits, truth and prediction of each class, (3, K), of a confusion matrix (K, K)."""
    return np.stack([matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)])


@dataclass(frozen=True)
class ImageCounts:
    """Pixels of each class in each image, int64 (images, K).

    Args:
        hits: in the truth and in the prediction.
        truth, predicted: in one of them.
    """

    hits: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, matrices: Iterable[np.ndarray]) -> ImageCounts:
        """Return the counts of confusion matrices, int64 (K, K), the truth in rows."""
        return cls(*np.stack([margins(matrix) for matrix in matrices], axis=1))

    def save(self, path: Path) -> None:
        """Write the counts as a `.npz` file."""
        with replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(file, hits=self.hits, truth=self.truth, predicted=self.predicted)

    @classmethod
    def load(cls, path: Path) -> ImageCounts:
        """Return the counts that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["hits"], stored["truth"], stored["predicted"])

    @property
    def mean_iou(self) -> float:
        """The mean IoU over all images; 0 where the truth has no class."""
        mean = float(self.mean_ious(np.ones((1, len(self.hits))))[0])
        return 0.0 if np.isnan(mean) else mean

    def mean_ious(self, draws: np.ndarray) -> np.ndarray:
        """Return the mean IoU of each draw, (draws,); NaN for one without a class in its truth.

        Args:
            draws: how often each image is in each draw, (draws, images).
        """
        hits, truth = draws @ self.hits.astype(np.float64), draws @ self.truth.astype(np.float64)
        unions = truth + draws @ self.predicted.astype(np.float64) - hits
        # the mean of a draw is over the classes in its truth
        with np.errstate(invalid="ignore"):
            ious = np.where(truth > 0, hits / unions, 0).sum(axis=1)
            means: np.ndarray = ious / (truth > 0).sum(axis=1)
        return means


def mean_iou_interval(
    matrices: Sequence[np.ndarray], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the interval of the mean IoU; None for fewer than two images.

    Args:
        matrices: int64 (K, K) of each image, the truth in rows.
        seed: of the draws.
        resamples: the number of draws.
    """
    if len(matrices) < 2:
        return None
    counts = ImageCounts.of(matrices)
    draws = _draws(len(matrices), seed, resamples)
    return _interval(counts.mean_ious(draws), len(matrices), seed, resamples)


def difference_interval(
    first: ImageCounts, second: ImageCounts, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the interval of the first mean IoU less the second, both on the same images.

    Every draw scores both on the same images, so what makes an image easy or hard for both cancels.
    None for fewer than two images.
    """
    images = len(first.hits)
    if images < 2:
        return None
    draws = _draws(images, seed, resamples)
    return _interval(first.mean_ious(draws) - second.mean_ious(draws), images, seed, resamples)


def _draws(images: int, seed: int, resamples: int) -> np.ndarray:
    """Return how often each image is in each draw, (resamples, images)."""
    random = np.random.default_rng(seed)
    return random.multinomial(images, np.full(images, 1 / images), size=resamples)


def _interval(values: np.ndarray, images: int, seed: int, resamples: int) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL, resamples, seed, images)
