"""Scored images without a network: a truth, a prediction, one confidence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.labels import LabelSet
from maskzoo.training.scoring.metrics import ConfusionMatrix
from maskzoo.training.scoring.records import Scored


@pytest.fixture(scope="session")
def labels() -> LabelSet:
    """Two classes; 255 does not count."""
    return LabelSet.from_names(["ground", "disc"])


@pytest.fixture(scope="session")
def scored(labels: LabelSet) -> Callable[..., Scored]:
    """Return a maker of scored images: scored(name, truth, prediction, confidence=0.95)."""

    def make(
        name: str, truth: np.ndarray, prediction: np.ndarray, confidence: float = 0.95
    ) -> Scored:
        matrix = ConfusionMatrix(2, ignore_index=labels.ignore_index)
        matrix.update(truth, prediction)
        sure = np.full(truth.shape, confidence, np.float16)
        segmentation = Segmentation(prediction, sure, labels, "whole", {})
        image = np.random.default_rng(0).integers(0, 255, (*truth.shape, 3), np.uint8)
        return Scored(name, image, truth, segmentation, matrix.counts)

    return make


@pytest.fixture(scope="session")
def half(scored: Callable[..., Scored]) -> Callable[[float], Scored]:
    """Return a maker of truths of two halves; the fraction `right` of the first is predicted."""

    def make(right: float) -> Scored:
        truth = np.zeros((20, 40), np.uint8)
        truth[:, 20:] = 1
        prediction = truth.copy()
        prediction[: round(20 * (1 - right)), :20] = 1
        return scored(f"{right:.2f}", truth, prediction)

    return make
