"""Drawing outlines into masks: the one painter of all formats.

Value 0 is the background, value n + 1 is class n. Shapes: masks are uint8 (H, W), at the upright
size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.rawmask import RawMask

MOST_CLASSES = 253  # beside the background


def checked_names(names: Sequence[str], tool: str) -> tuple[str, ...]:
    """Return `names` if a mask can hold that many classes.

    Raises:
        DataError: there are too many.
    """
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"the {tool} polygons are of {len(names)} classes; at most {MOST_CLASSES} beside the "
            "background are possible: leave the rarest out, or join some"
        )
    return tuple(names)


def blank(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return a mask of (H, W) = `size` that is all background."""
    return np.zeros(size, np.uint8)


def fill(canvas: npt.NDArray[np.uint8], points: npt.NDArray[np.float64], value: int) -> None:
    """Draw the polygon `points`, float (n, 2) as x and y; one of fewer than three is left out."""
    if len(points) >= 3 and np.isfinite(points).all():
        corners = np.rint(points).astype(np.int32)
        cv2.fillPoly(canvas, [corners], value)


def as_mask(canvas: npt.NDArray[np.uint8]) -> RawMask:
    """Return a canvas as the mask that it is."""
    return RawMask(canvas, "values", "polygons")
