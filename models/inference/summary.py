"""Pixel counts and fractions of a label map."""

from __future__ import annotations

import numpy as np


def class_shares(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the pixels of each class: int64 (K,). Ids of K and above do not count."""
    return np.bincount(labels.ravel(), minlength=num_classes)[:num_classes].astype(np.int64)
