"""Facts of an answer: the mean confidence of each class, and the names of those that occur."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.labels import LabelSet
from maskzoo.service.responses.answer import Answer
from maskzoo.service.shapes.runs import LabelRuns

LABELS = LabelSet.from_names(["ground", "cell", "dirt"], background=0)


def answer(ids: np.ndarray, confidence: np.ndarray) -> Answer:
    return Answer(
        model="cells",
        labels=LABELS,
        runs=LabelRuns(ids),
        confidence=confidence.astype(np.float16),
        pixels=None,
        mode="whole",
        info=None,
        request_id="r1",
    )


@pytest.mark.parametrize("side", [400, 3000])
def test_the_mean_confidence_of_many_pixels_is_neither_rounded_nor_infinite(side):
    found = answer(np.zeros((side, side), np.uint8), np.full((side, side), 0.9))
    assert found.mean_confidences == {0: pytest.approx(0.9, abs=5e-4)}


def test_the_mean_confidence_is_that_of_the_pixels_of_the_class():
    ids = np.array([[0, 2, 2], [0, 2, 255]], np.uint8)
    found = answer(ids, np.array([[0.5, 0.25, 0.5], [1, 0.75, 0.125]]))
    assert found.mean_confidences == {0: 0.75, 2: 0.5, 255: 0.125}
    assert found.class_names() == {0: "ground", 2: "dirt"}
