"""labelme: one json for each image, with `shapes` of labelled points.

Masks equal labelme's own export (`labelme_export_json`), where shapes have an area. Lines and
points have none: the export draws them ten pixels wide, which no one labelled.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.text import read_json
from maskzoo.training.data.records.shape import (
    Area,
    Bitmap,
    Ellipse,
    ImageShapes,
    NotDrawn,
    Points,
    Rings,
    Shape,
    meaning,
)
from maskzoo.training.data.shapes.fields import (
    checked_names,
    class_name,
    image_shapes,
    points_of,
    size_of,
)

_ROTATED = {"rotation", "oriented_rectangle", "quadrilateral"}
_NO_AREA = {"line": "lines", "linestrip": "lines", "point": "points", "points": "points"}


@dataclass(frozen=True)
class LabelmePolygons:
    """The shapes of labelme files.

    Args:
        names: the labels, sorted, without the background and what is ignored.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    storage: str = "labelme polygons"

    @classmethod
    def of(cls, files: Sequence[Path]) -> LabelmePolygons | None:
        """Collect the labels of all files; None where no file has any."""
        labels: set[str] = set()
        for file in files:
            try:
                rows = _content(file)["shapes"]
            except DataError:
                continue  # reported when it is drawn, unless no file is of labelme
            given = (class_name(row.get("label")) for row in rows if isinstance(row, dict))
            labels |= {label for label in given if label is not None}
        names = sorted(label for label in labels if isinstance(meaning(label), str))
        return cls(checked_names(names, "labelme")) if names else None

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`."""
        content = _content(file)
        items = (
            _read(row, f"{image.name}, shape {number}")
            for number, row in enumerate(content["shapes"], start=1)
        )
        return image_shapes(items, size_of(content, "imageHeight", "imageWidth"))


def _content(file: Path) -> Mapping[str, Any]:
    """Return the content of a labelme file.

    Raises:
        DataError: the file is damaged, or not of labelme.
    """
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise DataError(f"{file}: the file lacks labelme's list 'shapes'; label this image again")
    return content


def _read(row: Any, label: str) -> Shape | NotDrawn:
    """Return an entry of `shapes` as a shape, or why it has none."""
    if not isinstance(row, dict):
        return NotDrawn("damaged (not an object of json)", label, is_damaged=True)
    name = class_name(row.get("label"))
    if name is None:
        return NotDrawn("without a class", label)
    label = f"{label}, {name!r}"
    kind = row.get("shape_type") or "polygon"
    points = points_of(row.get("points"))
    if kind in _NO_AREA:
        return NotDrawn(_NO_AREA[kind], label, name)
    if points is None:
        return NotDrawn("damaged (points that are not pairs of numbers)", label, name, True)
    try:
        area = _area(kind, points, row)
    except ValueError as error:
        return NotDrawn(f"damaged ({error})", label, name, True)
    if area is None:
        return NotDrawn(f"of type {kind!r} with {len(points)} points", label, name)
    return Shape(meaning(name), area, label)


def _area(kind: str, points: Points, row: Mapping[str, Any]) -> Area | None:
    """Return the area of a shape; None where its points do not make one of its type.

    Raises:
        ValueError: its mask is damaged.
    """
    if kind == "mask" and len(points) == 2:
        left, top = points.astype(int).min(0).tolist()
        return Bitmap(_bitmap(row.get("mask")), left, top)
    if kind == "circle" and len(points) == 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        x, y = points[0].tolist()
        return Ellipse((x, y), (radius, radius), border=True)
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points.min(0), points.max(0)
        points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        return Rings((points,), border=True)
    if kind == "polygon" and len(points) >= 3:
        return Rings((points,), border=True)
    if (kind == "rectangle" or kind in _ROTATED) and len(points) == 4:
        return Rings((points,), border=True)
    return None


def _bitmap(text: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the pixels of a mask, a PNG in base64.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        data = base64.b64decode(str(text), validate=True)
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert("L") if image.mode not in ("1", "L", "P") else image)
    except (binascii.Error, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"the mask is not a PNG in base64: {error}") from None
    return np.asarray(pixels, np.bool_)
