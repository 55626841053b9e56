"""The bootstrap interval: the definition of mean IoU, seeded, as wide as it should be."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from maskzoo.training.scoring.bootstrap import (
    ImageCounts,
    difference_interval,
    mean_iou_interval,
)


def matrices(images: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [
        np.diag(random.integers(40, 100, 3)) + random.integers(0, 20, (3, 3)) for _ in range(images)
    ]


def test_its_ends_are_those_of_all_draws_that_are_possible() -> None:
    """Of 5 images there are 5^5 draws, all as likely: their quantiles need no random numbers."""
    some = matrices(5)
    scores = []
    for draw in itertools.product(some, repeat=5):
        total = np.sum(draw, axis=0)
        hits = np.diag(total)
        scores.append(float(np.mean(hits / (total.sum(axis=0) + total.sum(axis=1) - hits))))
    found = mean_iou_interval(some, seed=3, resamples=50_000)
    assert found is not None
    low, high = np.quantile(scores, [0.025, 0.975])
    spread = high - low
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02 * spread)
    assert low < float(np.mean(scores)) < high


def test_a_class_that_a_draw_lacks_does_not_enter_its_mean() -> None:
    rare, common = np.zeros((2, 2), int), np.zeros((2, 2), int)
    common[0, 0] = 10
    rare[1, 1] = 10
    found = mean_iou_interval([common, rare, common], seed=0)
    assert found is not None
    assert (found.low, found.high) == (1, 1)


def test_a_class_that_a_draw_only_predicts_does_not_enter_its_mean() -> None:
    truth_of_both = np.array([[10, 0], [0, 10]])
    false = np.array([[5, 5], [0, 0]])  # class 1 is only predicted
    found = mean_iou_interval([truth_of_both, false], seed=0)
    assert found is not None
    draws = (0.5, (15 / 20 + 10 / 15) / 2, 1.0)  # twice the second, one of each, twice the first
    assert (found.low, found.high) == (draws[0], draws[2])


def test_the_seed_decides_and_more_images_are_surer() -> None:
    few, many = mean_iou_interval(matrices(5)), mean_iou_interval(matrices(5) * 20)
    assert few is not None
    assert many is not None
    assert few == mean_iou_interval(matrices(5))
    assert few != mean_iou_interval(matrices(5), seed=1)
    assert many.high - many.low < (few.high - few.low) / 3


def test_one_image_has_no_interval() -> None:
    assert mean_iou_interval(matrices(1)) is None


def test_images_without_counted_pixels_have_none() -> None:
    assert mean_iou_interval([np.zeros((2, 2), int)] * 3) is None


def test_a_difference_is_that_of_both_scores_in_each_draw_of_the_same_images() -> None:
    first, second = matrices(4), matrices(4, seed=9)
    differences = []
    for draw in itertools.product(range(4), repeat=4):
        means = []
        for some in (first, second):
            total = np.sum([some[index] for index in draw], axis=0)
            hits = np.diag(total)
            means.append(np.mean(hits / (total.sum(axis=0) + total.sum(axis=1) - hits)))
        differences.append(means[0] - means[1])
    found = difference_interval(
        ImageCounts.of(first), ImageCounts.of(second), seed=1, resamples=50_000
    )
    assert found is not None
    low, high = np.quantile(differences, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03 * (high - low))


def test_a_network_is_not_told_apart_from_itself_and_one_image_tells_nothing() -> None:
    counts = ImageCounts.of(matrices(6))
    found = difference_interval(counts, counts)
    assert found is not None
    assert (found.low, found.high) == (0, 0)
    one = ImageCounts.of(matrices(1))
    assert difference_interval(one, one) is None


def test_counts_are_read_as_they_were_written(tmp_path: Path) -> None:
    counts = ImageCounts.of(matrices(3))
    counts.save(tmp_path / "counts.npz")
    again = ImageCounts.load(tmp_path / "counts.npz")
    assert np.array_equal(again.hits, counts.hits)
    assert np.array_equal(again.predicted, [one.sum(axis=0) for one in matrices(3)])
    total = np.sum(matrices(3), axis=0)
    hits = np.diag(total)
    mean = np.mean(hits / (total.sum(axis=0) + total.sum(axis=1) - hits))
    assert again.mean_iou == pytest.approx(mean)
