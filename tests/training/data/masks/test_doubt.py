from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskzoo.models.errors import DataError
from tests.training.data.codes import table


@pytest.fixture
def soft():
    """Return a disc whose edge goes over many pixels."""
    disc = np.zeros((96, 96), np.float32)
    cv2.circle(disc, (48, 48), 24, 1, -1)
    return cv2.GaussianBlur(disc, (0, 0), 8)


def test_soft_masks_are_not_noise_around_black_and_white(detected, soft):
    levels = (soft / soft.max() * 255).astype(np.uint8)
    with pytest.raises(DataError, match=r"probabilities or soft edges.*`threshold: 128`"):
        detected([levels])


def test_soft_masks_of_all_levels_are_not_objects(detected):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (32, 1))
    with pytest.raises(DataError, match=r"256 different values.*`threshold: 128`"):
        detected([ramp])


@pytest.mark.parametrize(
    ("ids_held", "levels", "rows"),
    [
        ((0, 1, 2), (0, 127, 255), "values: [1, 127]}, {name: class_2, values: [2, 255]}"),
        ((0, 1, 2), (0, 128, 255), "values: [1, 128]}, {name: class_2, values: [2, 255]}"),
        ((0, 1, 2), (0, 255), "values: [2]}, {name: class_3, values: [255]}"),
        ((0, 1), (0, 127, 255), "values: [1, 127]}, {name: class_2, values: [255]}"),
    ],
)
def test_ids_in_some_masks_and_grey_levels_in_others_are_asked_about(
    detected, ids, ids_held, levels, rows
):
    with pytest.raises(DataError, match=r"6 masks hold the values 1.* and 6 others") as caught:
        detected([ids(*ids_held)] * 6 + [ids(*levels)] * 6)
    assert rows in str(caught.value)


def test_ids_with_void_in_few_masks_are_not_asked_about(detected, ids):
    result = detected([ids(0, 1, 2)] * 12 + [ids(0, 255)])
    assert table(result)[255] == 255


def test_ids_and_levels_in_the_same_masks_are_classes(detected, ids):
    result = detected([ids(0, 1, 127, 255), ids(0, 1), ids(0, 127)])
    assert len(set(table(result).values())) >= 3


@pytest.mark.parametrize("base", [256, 1000])
def test_values_of_class_and_object_are_refused_with_the_ranges_of_classes(detected, ids, base):
    codes = [(7, 2 * base + n, 2 * base + n + 1, 5 * base + n // 2) for n in range(8)]
    masks = [np.array(held, np.uint16)[ids(0, 1, 2, 3)] for held in codes]
    with pytest.raises(DataError, match=rf"class \* {base} \+ n.*object 3 of class 5") as caught:
        detected(masks)
    assert f'{{name: class_5, values: ["{5 * base}-{6 * base - 1}"]}}' in str(caught.value)
    assert "{name: class_7, values: [7]}" in str(caught.value)


def test_codes_of_land_cover_are_classes(detected, ids):
    codes = np.array([1110, 1120, 1210, 2110, 2310, 3110, 3240, 5110], np.uint16)
    result = detected([codes[ids(*range(8))]] * 4)
    assert result.labels.num_classes == 8


def test_colours_that_tell_objects_apart_are_refused(detected, ids):
    random = np.random.default_rng(0)
    masks = [random.integers(20, 250, (4, 3), np.uint8)[ids(0, 1, 2, 3)] for _ in range(6)]
    with pytest.raises(DataError, match=r"24 of the 24 colours .* tell objects apart .*panoptic"):
        detected(masks)


def test_colours_that_nobody_can_tell_apart_are_asked_about(detected, ids):
    colours = np.array([[0, 0, 0], [127, 0, 0], [0, 128, 0]], np.uint8)
    others = colours + np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]], np.uint8)
    with pytest.raises(DataError, match=r"1 pair of colours .* #7F0000 and #800000.*nearest"):
        detected([colours[ids(0, 1, 2)]] * 3 + [others[ids(0, 1, 2)]] * 3)


def test_ids_in_some_masks_and_colours_in_others_are_asked_about(detected, ids):
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    with pytest.raises(DataError, match=r"4 of the 8 masks hold ids .0, 1, 2., and the others col"):
        detected([ids(0, 1, 2)] * 4 + [colours[ids(0, 1, 2)]] * 4)
