"""Orientation: whether images have an upper side, as streets do and cells do not.

For each class the share of its pixels in the upper half of a picture is compared with the lower
half, over all pictures that hold it. Where pictures have no up, the mean difference is 0 within
its standard error; then turned and flipped pictures are as likely as those that are there, and
training may show them. A few pictures prove nothing: then it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MIN_IMAGES = 8
_ERRORS = 4.0  # standard errors from 0 that are no accident
_NOTICEABLE = 0.05  # mean difference of the shares below which an up does not matter


@dataclass(frozen=True)
class Orientation:
    """Whether pictures have an up, with the reason; None where that is not known."""

    has_up: bool | None
    why: str


UNKNOWN = Orientation(None, "too few images to tell whether they have an up")


def find_orientation(
    halves: Sequence[tuple[Mapping[int, int], Mapping[int, int]]], names: Sequence[str]
) -> Orientation:
    """Compare the halves of pictures.

    Args:
        halves: pixels of each class in the upper and in the lower half of each picture.
        names: of the classes.
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
            share = (1 + abs(mean)) / 2
            return Orientation(
                True, f"pictures have an up: {share:.0%} of {name} lies in the {where} half"
            )
    if not tested:
        return UNKNOWN
    return Orientation(False, "pictures have no up: classes lie in the upper half as in the lower")
