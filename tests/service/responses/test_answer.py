"""Facts of an answer: the mean confidence of each class, and the names of those that occur."""

from __future__ import annotations

import json

import numpy as np
import pytest

from maskzoo.models.labels import LabelSet
from maskzoo.service.responses.answer import MAX_CLASSES_HEADER, Answer
from maskzoo.service.shapes.runs import LabelRuns

LABELS = LabelSet.from_names(["ground", "cell", "dirt"], background=0)


def answer(ids: np.ndarray, confidence: np.ndarray, labels: LabelSet = LABELS) -> Answer:
    return Answer(
        model="cells",
        labels=labels,
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


def test_the_headers_name_the_model_its_classes_that_occur_and_the_timings():
    found = answer(np.array([[0, 2]], np.uint8), np.ones((1, 2)))
    found.timings.add("network", 0.0125)
    assert found.headers() == {
        "Maskzoo-Model": "cells",
        "Maskzoo-Classes": '{"0": "ground", "2": "dirt"}',
        "Server-Timing": "network;dur=12.5",
    }


@pytest.mark.parametrize("letter", ["n", "é", "😀"])
def test_the_header_of_classes_ends_before_a_client_refuses_it_and_says_how_many_it_lacks(letter):
    """In ASCII: 1, 6 and 12 bytes for each letter."""
    labels = LabelSet.from_names([f"{index:03}" + letter * 97 for index in range(100)])
    ids = np.arange(100, dtype=np.uint8)[None]
    headers = answer(ids, np.ones(ids.shape), labels).headers()
    kept = json.loads(headers["Maskzoo-Classes"])
    left_out = int(headers["Maskzoo-Classes-Left-Out"])
    assert list(kept.values()) == list(labels.names[: len(kept)])
    assert len(kept) + left_out == 100
    length = len(headers["Maskzoo-Classes"].encode("ascii"))
    following = len(json.dumps({len(kept): labels.names[len(kept)]}))  # its braces are the comma
    assert length <= MAX_CLASSES_HEADER < length + following
