"""Threshold, classes and orientation, on maps of a few pixels."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import UnknownNameError
from maskzoo.models.images.orientation import to_upright
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Band, Bands
from maskzoo.service.answering.finish import check_answerable, finish, kept_classes
from maskzoo.service.errors import BadParameterError
from maskzoo.service.schemas import SegmentOptions

TWO = LabelSet.from_names(["ground", "cell"])
THREE = LabelSet.from_names(["road", "house", "tree"])


def segmentation(ids: list[list[int]], confidence: list[list[float]] | None = None) -> Segmentation:
    certain = None if confidence is None else np.array(confidence, np.float16)
    return Segmentation(np.array(ids, np.uint8), certain, TWO, "whole", {})


@pytest.mark.parametrize(
    ("threshold", "ids"),
    [(0.0, [[1, 1, 1]]), (0.3, [[0, 1, 1]]), (0.5, [[0, 0, 1]]), (0.9, [[0, 0, 0]])],
)
def test_class_1_wins_from_the_threshold_on(threshold: float, ids: list[list[int]]):
    before = segmentation([[0, 0, 1]], [[0.875, 0.625, 0.75]])  # class 1: 0.125, 0.375, 0.75
    after = finish(before, SegmentOptions(threshold=threshold), TWO)
    assert after.label_map.tolist() == ids
    second = np.array([0.125, 0.375, 0.75])
    expected = np.where(np.array(ids[0]) == 1, second, 1 - second)
    np.testing.assert_array_equal(after.confidence[0], expected)


@pytest.mark.parametrize(
    ("threshold", "ids"),
    [
        (0.25, [1, 1, 1, 1]),
        (0.26, [0, 1, 1, 1]),
        (0.5, [0, 1, 1, 1]),
        (0.51, [0, 0, 1, 0]),
        (0.75, [0, 0, 1, 0]),
        (0.76, [0, 0, 0, 0]),
    ],
)
def test_a_pixel_of_just_the_threshold_is_class_1(threshold: float, ids: list[int]):
    before = segmentation([[0, 0, 1, 1]], [[0.75, 0.5, 0.75, 0.5]])  # class 1: 0.25, 0.5, 0.75, 0.5
    after = finish(before, SegmentOptions(threshold=threshold), TWO)
    assert after.label_map.tolist() == [ids]
    assert after.label_map.dtype == np.uint8
    assert after.confidence.dtype == np.float16


@pytest.mark.parametrize(
    ("background", "expected"), [(None, [[255, 1, 255]]), (0, [[0, 1, 0]]), (2, [[2, 1, 2]])]
)
def test_classes_that_are_not_kept_become_the_background_or_no_class(background, expected):
    labels = THREE.model_copy(update={"background": background})
    after = finish(segmentation([[0, 1, 2]]), SegmentOptions(classes="house"), labels)
    assert after.label_map.tolist() == expected
    assert after.label_map.dtype == np.uint8


def test_classes_are_named_by_name_or_id():
    assert kept_classes(SegmentOptions(classes="tree, 0"), THREE) == [2, 0]
    assert kept_classes(SegmentOptions(), THREE) is None
    with pytest.raises(UnknownNameError, match="unknown class '3'"):
        kept_classes(SegmentOptions(classes="3"), THREE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_original_orientation_is_that_of_the_file(orientation: int):
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    planes = np.stack([stored, 10 + stored])
    before = Segmentation(
        to_upright(stored, orientation),
        to_upright(stored, orientation).astype(np.float16),
        TWO,
        "whole",
        {},
        probabilities=np.stack([to_upright(plane, orientation) for plane in planes]),
    )
    options = SegmentOptions(orientation="original")
    after = finish(before, options, TWO, orientation=orientation)
    np.testing.assert_array_equal(after.label_map, stored)
    np.testing.assert_array_equal(after.confidence, stored)
    np.testing.assert_array_equal(after.probabilities, planes)
    assert finish(before, SegmentOptions(), TWO, orientation=orientation) is before


def test_the_original_orientation_needs_neither_confidence_nor_probabilities():
    options = SegmentOptions(orientation="original")
    after = finish(segmentation([[0, 1]]), options, TWO, orientation=6)
    assert after.label_map.tolist() == [[1], [0]]
    assert after.confidence is None
    assert after.probabilities is None


def test_a_threshold_needs_two_classes():
    check_answerable(SegmentOptions(threshold=0.5), TWO, None)
    with pytest.raises(BadParameterError, match="only for models of two classes; this one has 3"):
        check_answerable(SegmentOptions(threshold=0.5), THREE, None)


def test_bands_to_show_must_be_among_those_of_the_model():
    channels = tuple(
        Band(number=number, name=f"b{number}", low=0, high=1, fill=0) for number in (2, 3, 4)
    )
    bands = Bands(in_file=4, dtype="uint16", channels=channels)
    check_answerable(SegmentOptions(bands="4,3,2"), TWO, bands)
    with pytest.raises(BadParameterError, match=r"1 is not a band of this model \(2, 3, 4\)"):
        check_answerable(SegmentOptions(bands="4,3,1"), TWO, bands)
    with pytest.raises(BadParameterError, match=r"\(red, green and blue\)"):
        check_answerable(SegmentOptions(bands="1"), TWO, None)
