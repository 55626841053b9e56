"""Orientation: whether up and down differ in images, as in streets but not among cells.

For each class, the fraction of its pixels in the upper half is compared with that in the lower
half, over all images that hold the class. Where up and down do not differ, the mean difference is 0
within its standard error. Rotated and flipped images are then as likely as those of the data set,
and training may show them. A few images prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MIN_IMAGES = 8  # that hold a class, to judge by it
_ERRORS = 4.0  # standard errors from 0 that are not an accident
_NOTICEABLE = 0.05  # mean difference of the fractions below which up and down hardly differ


@dataclass(frozen=True)
class Orientation:
    """Whether up and down differ in the images of a data set.

    Args:
        has_up: None where that is not known.
        why: the reason, for people.
    """

    has_up: bool | None
    why: str


UNKNOWN = Orientation(None, "too few images to tell whether up and down differ")


def find_orientation(
    halves: Sequence[tuple[Mapping[int, int], Mapping[int, int]]], names: Sequence[str]
) -> Orientation:
    """Decide whether up and down differ in images by comparing their halves.

    Args:
        halves: pixels of each class in the upper and in the lower half of each image.
        names: names of the classes.
    """
    tested = 0
    for label, name in enumerate(names):
        pairs = [(upper.get(label, 0), lower.get(label, 0)) for upper, lower in halves]
        differences = np.array([(a - b) / (a + b) for a, b in pairs if a + b])
        if len(differences) < MIN_IMAGES:
            continue
        tested += 1
        mean = float(differences.mean())
        error = float(differences.std(ddof=1)) / len(differences) ** 0.5
        if abs(mean) > max(_NOTICEABLE, _ERRORS * error):
            where = "upper" if mean > 0 else "lower"
            fraction = (1 + abs(mean)) / 2
            why = f"up and down differ: {fraction:.0%} of {name} lies in the {where} half"
            return Orientation(True, why)
    if not tested:
        return UNKNOWN
    return Orientation(False, "up and down do not differ: classes lie in both halves alike")
