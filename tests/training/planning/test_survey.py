"""What the training images are like, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskzoo.training.data.opening import open_dataset
from maskzoo.training.planning.survey import Survey, balanced_weights, survey


def test_a_survey_sums_up_the_training_images_only(discs: Path) -> None:
    data = open_dataset(discs)
    found = survey(data)
    assert (found.data, found.names) == ("discs", ("ground", "disc"))
    assert found.sizes == [(48, 48)] * 10
    assert found.median_size == (48, 48)
    masks = [data.read(sample)[1] for sample in data.samples("train")]
    counts = [sum(int((mask == label).sum()) for mask in masks) for label in (0, 1)]
    assert found.class_pixels.tolist() == counts
    assert found.class_images == (10, 10)


def test_the_rarest_class_is_the_smallest_that_occurs() -> None:
    seen = Survey(
        "a", (1, 1), [(1, 1)] * 8, ("x", "y", "z"), np.array([90, 0, 10]), (8, 0, 2), None, ""
    )
    fraction, text = seen.rarest()
    assert fraction == pytest.approx(0.1)
    assert text == "the rarest class, z, has 10.00% of the pixels, in 2 of 8 images"


def test_without_a_labelled_pixel_no_class_is_rare() -> None:
    seen = Survey("a", (1, 1), [(1, 1)], ("x",), np.array([0]), (0,), None, "")
    assert seen.rarest() == (1.0, "no pixel is labelled")


def test_weights_of_classes_have_mean_1() -> None:
    weights = balanced_weights(np.array([900, 90, 9, 0]))
    assert np.mean(weights) == pytest.approx(1, abs=1e-3)
    assert list(weights) == sorted(weights)
