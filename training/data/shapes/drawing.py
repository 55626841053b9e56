"""The painter of all formats: it draws outlines into masks.

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

MOST_CLASSES = 253  # beside the background; 255 is ignored and 254 marks unknown codes


def checked_names(names: Sequence[str], tool: str) -> tuple[str, ...]:
    """Return the names of classes if a mask can hold that many.

    Raises:
        DataError: there are too many.
    """
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"the {tool} polygons are of {len(names)} classes; at most {MOST_CLASSES} beside the "
            "background are possible: leave the rarest ones out, or join some"
        )
    return tuple(names)


def blank(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return a canvas of the background alone; `size` is (H, W)."""
    return np.zeros(size, np.uint8)


def fill(canvas: npt.NDArray[np.uint8], points: npt.NDArray[np.float64], value: int) -> None:
    """Fill a polygon on the canvas.

    Args:
        canvas: uint8 (H, W), changed in place.
        points: corners (n, 2) as x and y in pixels. Fewer than three have no area.
        value: value of its class.
    """
    if len(points) >= 3 and np.isfinite(points).all():
        corners = np.rint(points).astype(np.int32)
        cv2.fillPoly(canvas, [corners], value)


def as_mask(canvas: npt.NDArray[np.uint8]) -> RawMask:
    """Return a drawn canvas as a mask."""
    return RawMask(canvas, "values", "polygons")
