"""Calibration: the expected error between confidence and accuracy.

Paper: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
https://arxiv.org/abs/1706.04599 (expected calibration error, equations 2 to 5).
The confidence of a pixel is the softmax of its chosen class; of pixels with a confidence of 0.8,
four of five should be right. Pixels go into 15 bins of equal width; the error is the mean over all
counted pixels of the data set of |accuracy - mean confidence| of their bin. The predictor hands out
confidence as float16, which rounds by at most 0.0005.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskzoo.training.scoring.metrics import counted_pixels

NUM_BINS = 15


@dataclass(frozen=True)
class CalibrationBin:
    """The pixels of one range of confidence; accuracy and mean confidence are None without any."""

    pixels: int
    accuracy: float | None
    confidence: float | None


class Calibration:
    """Pixels, right pixels and summed confidence of each bin.

    Args:
        num_classes: K.
        ignore_index: the id in the truth that does not count.
    """

    def __init__(self, num_classes: int, *, ignore_index: int, num_bins: int = NUM_BINS) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.num_bins = num_bins
        self.pixels = np.zeros(num_bins, np.int64)
        self.right = np.zeros(num_bins, np.int64)
        self.confidence = np.zeros(num_bins)

    def update(self, truth: np.ndarray, prediction: np.ndarray, confidence: np.ndarray) -> None:
        """Count one image: class ids of truth and prediction, and confidences 0..1, all (H, W).

        Raises:
            DataError: the sizes differ, or an id is not a class; nothing is counted then.
        """
        counted = counted_pixels(
            truth, prediction, num_classes=self.num_classes, ignore_index=self.ignore_index
        )
        values = confidence[counted].astype(np.float64)
        right = truth[counted] == prediction[counted]
        # (low, high], as in the paper
        bins = np.clip(np.ceil(values * self.num_bins).astype(np.int64) - 1, 0, self.num_bins - 1)
        self.pixels += np.bincount(bins, minlength=self.num_bins)
        self.right += np.bincount(bins[right], minlength=self.num_bins)
        self.confidence += np.bincount(bins, weights=values, minlength=self.num_bins)

    def error(self) -> float | None:
        """Return the expected calibration error, 0..1; None without pixels."""
        total = int(self.pixels.sum())
        return float(np.abs(self.right - self.confidence).sum() / total) if total else None

    def bins(self) -> list[CalibrationBin]:
        """Return the bins, the lowest confidence first."""
        counts = zip(self.pixels.tolist(), self.right.tolist(), self.confidence, strict=True)
        return [
            CalibrationBin(
                pixels=pixels,
                accuracy=right / pixels if pixels else None,
                confidence=float(confidence / pixels) if pixels else None,
            )
            for pixels, right, confidence in counts
        ]
