"""Places of errors and doubtful labels, against counting by hand."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from maskzoo.models.labels import LabelSet
from maskzoo.training.report.errors import BAND_EDGES, ErrorTally, distance_to_outline
from maskzoo.training.scoring.records import Scored

IGNORE = 255
Make = Callable[..., Scored]


def test_the_distance_is_that_to_the_nearest_change_of_class() -> None:
    truth = np.zeros((30, 40), np.uint8)
    truth[5:20, 10:25] = 1
    truth[:, 35:] = IGNORE
    change = np.zeros(truth.shape, bool)
    for y, x in np.ndindex(*truth.shape):
        for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            there = y + down, x + right
            inside = 0 <= there[0] < 30 and 0 <= there[1] < 40
            if inside and IGNORE not in (truth[y, x], truth[there]):
                change[y, x] |= truth[y, x] != truth[there]
    expected = ndimage.distance_transform_edt(~change)
    np.testing.assert_allclose(distance_to_outline(truth, IGNORE), expected, rtol=0.03)
    assert np.isinf(distance_to_outline(np.zeros((5, 5), np.uint8), IGNORE)).all()


def test_bands_count_pixels_and_errors_by_that_distance(labels: LabelSet, half: Make) -> None:
    tally = ErrorTally(labels)
    one = half(0.5)
    tally.add(one)
    distance = distance_to_outline(one.truth, IGNORE)
    wrong = one.truth != one.segmentation.label_map
    edges = [0, *BAND_EDGES, np.inf]
    for band, low, high in zip(tally.bands(), edges, edges[1:], strict=False):
        inside = (distance >= low) & (distance < high)
        assert band.of_pixels == pytest.approx(inside.mean())
        assert band.of_errors == pytest.approx((wrong & inside).sum() / wrong.sum())
        if inside.any():
            assert band.error_rate == pytest.approx(wrong[inside].mean())


def test_a_sure_region_far_from_outlines_is_suspected(labels: LabelSet, scored: Make) -> None:
    truth = np.zeros((100, 100), np.uint8)
    prediction = truth.copy()
    prediction[20:40, 30:60] = 1
    tally = ErrorTally(labels)
    tally.add(scored("odd", truth, prediction))
    tally.add(scored("unsure", truth, prediction, confidence=0.6))
    tally.add(scored("right", truth, truth))
    (one,) = tally.suspicions()
    assert (one.name, one.truth, one.prediction, one.pixels) == ("odd", "ground", "disc", 600)
    assert one.confidence == pytest.approx(0.95, abs=1e-3)
    with Image.open(io.BytesIO(one.jpeg)) as panes:
        assert panes.size == (4 * 64, 64)


def test_errors_at_an_outline_or_of_ignored_pixels_are_not_suspected(
    labels: LabelSet, scored: Make
) -> None:
    truth = np.zeros((100, 100), np.uint8)
    truth[:, 50:] = 1
    shifted = np.roll(truth, 3, axis=1)
    shifted[:, :3] = 0
    ignored = np.full((100, 100), IGNORE, np.uint8)
    tally = ErrorTally(labels)
    tally.add(scored("shifted", truth, shifted))
    tally.add(scored("ignored", ignored, shifted))
    assert tally.suspicions() == []


def test_the_strongest_suspicions_come_first_and_are_limited(
    labels: LabelSet, scored: Make
) -> None:
    tally = ErrorTally(labels)
    truth = np.zeros((80, 80), np.uint8)
    for size in range(5, 35):
        prediction = truth.copy()
        prediction[10 : 10 + size, 10 : 10 + size] = 1
        tally.add(scored(str(size), truth, prediction))
    assert [one.name for one in tally.suspicions()] == [str(size) for size in range(34, 22, -1)]


def test_without_a_pixel_there_is_no_error_rate(labels: LabelSet) -> None:
    assert {
        (band.of_pixels, band.of_errors, band.error_rate) for band in ErrorTally(labels).bands()
    } == {(0.0, 0.0, None)}


def test_the_confidence_of_a_huge_region_does_not_overflow(labels: LabelSet, scored: Make) -> None:
    truth = np.zeros((300, 300), np.uint8)  # 90 000 x 0.95 is beyond float16
    tally = ErrorTally(labels)
    tally.add(scored("huge", truth, np.ones_like(truth)))
    (one,) = tally.suspicions()
    assert one.confidence == pytest.approx(0.95, abs=1e-3)
    assert one.weight == pytest.approx(0.95, abs=1e-3)
