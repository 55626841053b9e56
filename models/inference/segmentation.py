"""`Segmentation`: what a predictor returns for one image."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.inference.summary import class_shares
from maskzoo.models.labels import LabelSet


@dataclass(frozen=True)
class Segmentation:
    """What a predictor found in one image.

    Args:
        labels: class ids, uint8 (H, W), or uint16 for more than 256 classes.
        confidence: softmax of the chosen class, float16 (H, W); None where it was not asked for.
        label_set: names and colours of the ids.
        mode: ``whole``, ``resize`` or ``tiled``.
        timings: seconds of ``decode``, ``preprocess``, ``network``, ``postprocess``; tiles are
            prepared and put together within ``network``.
        info: of the image file; None if an array was given.
    """

    labels: np.ndarray
    confidence: np.ndarray | None
    label_set: LabelSet
    mode: str
    timings: dict[str, float]
    info: ImageInfo | None = None

    def class_counts(self) -> np.ndarray:
        """Count the pixels of each class: int64 (K,)."""
        return class_shares(self.labels, self.label_set.num_classes)


class Clock:
    """Seconds between stops, by name."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, name: str) -> None:
        """Book the time since the last stop under `name`."""
        now = time.perf_counter()
        self.timings[name] = now - self._last
        self._last = now
