"""Best and worst images, places of errors, labels in doubt: against counting by hand."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.labels import LabelSet
from maskzoo.training.data.find.index import Sample
from maskzoo.training.report.errors import BAND_EDGES, ErrorTally, distance_to_outline
from maskzoo.training.report.gallery import Gallery
from maskzoo.training.scoring.evaluate import Scored
from maskzoo.training.scoring.metrics import ConfusionMatrix

LABELS = LabelSet.from_names(["ground", "disc"])
IGNORE = 255


def scored(
    name: str, truth: np.ndarray, prediction: np.ndarray, confidence: float = 0.95
) -> Scored:
    matrix = ConfusionMatrix(2, ignore_index=IGNORE)
    matrix.update(truth, prediction)
    sure = np.full(truth.shape, confidence, np.float16)
    found = Segmentation(prediction, sure, LABELS, "whole", {})
    sample = Sample(stem=name, image=Path(name), mask=Path(name), split="val")
    image = np.random.default_rng(0).integers(0, 255, (*truth.shape, 3), np.uint8)
    return Scored(sample, image, truth, found, matrix.counts)


def half(right: float) -> Scored:
    """A truth of two halves, of which the share `right` of the first is predicted well."""
    truth = np.zeros((20, 40), np.uint8)
    truth[:, 20:] = 1
    prediction = truth.copy()
    prediction[: round(20 * (1 - right)), :20] = 1
    return scored(f"{right:.2f}", truth, prediction)


def test_the_best_and_the_worst_are_kept_and_none_is_both() -> None:
    gallery = Gallery(LABELS)
    rights = [number / 40 for number in range(1, 41)]
    for right in np.random.default_rng(0).permutation(rights):
        gallery.add(half(float(right)))
    best, worst = gallery.best(), gallery.worst()
    assert [picture.name for picture in worst][:2] == ["0.03", "0.05"]
    assert best[0].score == 1.0
    assert len(best) == len(worst) == 12
    assert [picture.score for picture in best] == sorted((p.score for p in best), reverse=True)
    assert not {picture.name for picture in best} & {picture.name for picture in worst}


@pytest.mark.parametrize("images", [1, 2, 5])
def test_of_few_images_each_is_shown_once(images: int) -> None:
    gallery = Gallery(LABELS)
    for number in range(images):
        gallery.add(half((number + 1) / 10))
    names = [picture.name for picture in gallery.worst() + gallery.best()]
    assert len(names) == len(set(names)) == images


def test_a_picture_shows_the_errors_in_red_in_its_last_pane() -> None:
    gallery = Gallery(LABELS)
    gallery.add(half(0.5))
    with Image.open(io.BytesIO(gallery.worst()[0].jpeg)) as picture:
        assert picture.size == (160, 20)
        pixels = np.asarray(picture).astype(int)
    errors = pixels[:, 120:]
    is_red = errors[..., 0] - errors[..., 1] > 100
    assert is_red[1:9, 1:19].all()
    assert not is_red[:, 24:].any()


def test_an_image_that_is_all_ignored_is_passed_over() -> None:
    gallery = Gallery(LABELS)
    ignored = np.full((8, 8), IGNORE, np.uint8)
    gallery.add(scored("nothing", ignored, np.zeros((8, 8), np.uint8)))
    assert gallery.best() == gallery.worst() == []


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


def test_bands_count_pixels_and_errors_by_that_distance() -> None:
    tally = ErrorTally(LABELS)
    one = half(0.5)
    tally.add(one)
    distance = distance_to_outline(one.truth, IGNORE)
    wrong = one.truth != one.found.labels
    edges = [0, *BAND_EDGES, np.inf]
    for band, low, high in zip(tally.bands(), edges, edges[1:], strict=False):
        inside = (distance >= low) & (distance < high)
        assert band["pixels"] == pytest.approx(inside.mean())
        assert band["errors"] == pytest.approx((wrong & inside).sum() / wrong.sum())
        if inside.any():
            assert band["rate"] == pytest.approx(wrong[inside].mean())


def test_a_sure_region_far_from_outlines_is_suspected() -> None:
    truth = np.zeros((100, 100), np.uint8)
    prediction = truth.copy()
    prediction[20:40, 30:60] = 1
    tally = ErrorTally(LABELS)
    tally.add(scored("odd", truth, prediction))
    tally.add(scored("unsure", truth, prediction, confidence=0.6))
    tally.add(scored("right", truth, truth))
    (one,) = tally.suspicions()
    assert (one.name, one.truth, one.found, one.pixels) == ("odd", "ground", "disc", 600)
    assert one.confidence == pytest.approx(0.95, abs=1e-3)
    with Image.open(io.BytesIO(one.jpeg)) as picture:
        assert picture.size == (4 * 64, 64)


def test_errors_at_an_outline_or_of_ignored_pixels_are_not_suspected() -> None:
    truth = np.zeros((100, 100), np.uint8)
    truth[:, 50:] = 1
    shifted = np.roll(truth, 3, axis=1)
    shifted[:, :3] = 0
    ignored = np.full((100, 100), IGNORE, np.uint8)
    tally = ErrorTally(LABELS)
    tally.add(scored("shifted", truth, shifted))
    tally.add(scored("ignored", ignored, shifted))
    assert tally.suspicions() == []


def test_the_strongest_suspicions_come_first_and_are_limited() -> None:
    tally = ErrorTally(LABELS)
    truth = np.zeros((80, 80), np.uint8)
    for size in range(5, 35):
        prediction = truth.copy()
        prediction[10 : 10 + size, 10 : 10 + size] = 1
        tally.add(scored(str(size), truth, prediction))
    assert [one.name for one in tally.suspicions()] == [str(size) for size in range(34, 22, -1)]
