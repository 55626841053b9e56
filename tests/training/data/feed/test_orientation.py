from __future__ import annotations

import numpy as np

from maskzoo.training.data.feed.orientation import find_orientation
from maskzoo.training.data.opening import open_dataset

NAMES = ("sky", "road")


def halves(fractions):
    """Return the counts of images with these fractions of their sky in the upper half."""
    return [
        ({0: round(1000 * fraction), 1: 500}, {0: round(1000 * (1 - fraction)), 1: 500})
        for fraction in fractions
    ]


def test_a_class_that_lies_above_shows_that_up_and_down_differ():
    found = find_orientation(halves([0.9, 0.8, 0.85, 0.95, 0.9, 0.8, 0.9, 0.9]), NAMES)
    assert found.has_up is True
    assert found.why == "up and down differ: 88% of sky lies in the upper half"


def test_a_class_that_lies_anywhere_shows_that_they_do_not():
    rng = np.random.default_rng(0)
    assert find_orientation(halves(rng.uniform(0, 1, 200)), NAMES).has_up is False


def test_a_few_images_prove_nothing():
    assert find_orientation(halves([0.9] * 7), NAMES).has_up is None
    assert find_orientation([], NAMES).has_up is None


def test_a_class_in_a_few_images_is_not_judged_by():
    counts = halves([0.5] * 20)
    counts[0] = ({0: 1000, 1: 0}, {0: 0, 1: 1000})
    assert find_orientation(counts, NAMES).has_up is False


def test_the_masks_of_a_folder_are_judged(make_folder, ids):
    up = ids(0, 1).T.copy()  # 0 in the upper half, 1 in the lower
    rng = np.random.default_rng(0)
    tilted = [np.roll(up, int(shift), axis=0) for shift in rng.integers(-3, 4, 12)]
    masks = {f"train/{number}": mask for number, mask in enumerate(tilted[:9])}
    masks |= {f"val/{number}": mask for number, mask in enumerate(tilted[9:], start=9)}
    assert open_dataset(make_folder(masks)).orientation.has_up is True
    flat = {stem: np.ascontiguousarray(mask.T) for stem, mask in masks.items()}
    assert open_dataset(make_folder(flat, name="flat")).orientation.has_up is False


def test_colours_are_counted_as_values_are(make_folder, ids):
    palette = np.array([(200, 10, 10), (10, 10, 200)], np.uint8)
    masks = {f"train/{number}": palette[ids(0, 1).T.copy()] for number in range(9)}
    masks["val/9"] = palette[ids(0, 1)]
    assert open_dataset(make_folder(masks)).orientation.has_up is True
