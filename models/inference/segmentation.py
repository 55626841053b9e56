"""`Segmentation`: what a predictor returns for one image."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from maskzoo.models.inference.options import ChosenMode
from maskzoo.models.labels import LabelSet

if TYPE_CHECKING:
    from maskzoo.models.images.decode import ImageInfo


@dataclass(frozen=True)
class Segmentation:
    """The label map of one image, with its labels and timings.

    Args:
        label_map: class ids, uint8 (H, W), or uint16 for more than 256 classes.
        confidence: softmax of the chosen class, float16 (H, W); None if it was not requested.
        labels: names and colours of the ids.
        mode: ``whole``, ``resize`` or ``tiled``.
        timings: seconds of ``decode``, ``preprocess``, ``network``, ``postprocess``; tiles are
            prepared and put together within ``network``.
        info: of the image file; None if an array was given.
        probabilities: softmax of all classes, float16 (K, H, W); None if it was not requested.
    """

    label_map: np.ndarray
    confidence: np.ndarray | None
    labels: LabelSet
    mode: ChosenMode
    timings: dict[str, float]
    info: ImageInfo | None = None
    probabilities: np.ndarray | None = None

    def class_counts(self) -> np.ndarray:
        """Count the pixels of each class: int64 (K,)."""
        return class_counts(self.label_map, self.labels.num_classes)


def class_counts(label_map: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the pixels of each class: int64 (K,). Ids of K and above do not count."""
    return np.bincount(label_map.ravel(), minlength=num_classes)[:num_classes].astype(np.int64)


class Clock:
    """Seconds between stops, by name."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, name: str) -> None:
        """Record the time since the last stop under `name`."""
        now = time.perf_counter()
        self.timings[name] = now - self._last
        self._last = now
