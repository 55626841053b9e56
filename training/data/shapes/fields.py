"""Fields of people's annotations: coordinates, sizes, identifiers, names of classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.shape import ImageShapes, NotDrawn, Points, Shape

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


def image_shapes(
    items: Iterable[Shape | NotDrawn],
    size: tuple[int, int] | None = None,
    *,
    is_relative: bool = False,
) -> ImageShapes:
    """Return the annotations of an image, those with pixels apart from the others."""
    every = list(items)
    shapes = tuple(item for item in every if isinstance(item, Shape))
    not_drawn = tuple(item for item in every if isinstance(item, NotDrawn))
    return ImageShapes(size, shapes, not_drawn, is_relative)


def points_of(value: Any) -> Points | None:
    """Return points (n, 2), or None where the value is not a list of pairs of finite numbers."""
    try:
        points = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    if points.size == 0:
        return np.empty((0, 2))
    is_good = points.ndim == 2 and points.shape[1] == 2 and bool(np.isfinite(points).all())
    return points if is_good else None


def class_name(value: Any) -> str | None:
    """Return the name of a class as text, or None where there is none.

    An annotation tool writes null, an empty text or nothing for a shape that nobody has named.
    """
    if value is None or isinstance(value, bool | dict | list):
        return None
    return str(value).strip() or None


def size_of(row: Mapping[str, Any], height: str, width: str) -> tuple[int, int] | None:
    """Return the (H, W) that two keys state, or None where they state nothing usable."""
    try:
        size = int(row[height]), int(row[width])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


def identifier(value: Any) -> str:
    """Return an identifier as text: 7, 7.0 and "7" are the same."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
