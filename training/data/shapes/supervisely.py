"""Supervisely: one json for each image, with polygons and bitmaps.

Format: https://docs.supervisely.com/data-organization/00_ann_format_navi. A bitmap is a PNG,
packed by zlib and written in base64, at the column and row of its `origin`. Points are pixels: the
outline of a polygon belongs to it.
"""

from __future__ import annotations

import base64
import binascii
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.text import read_json
from maskzoo.training.data.records.shape import (
    Area,
    Bitmap,
    ImageShapes,
    NotDrawn,
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

_NOT_AREAS = {
    "rectangle": "boxes without an outline",
    "line": "lines",
    "point": "points",
    "graph": "skeletons",
    "cuboid": "cuboids",
}
_MOST_BYTES = 1 << 28  # of an unpacked bitmap


@dataclass(frozen=True)
class SuperviselyShapes:
    """The shapes of Supervisely's files.

    Args:
        names: the classes, sorted.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    storage: str = "Supervisely shapes"

    @classmethod
    def of(cls, files: Sequence[Path]) -> SuperviselyShapes | None:
        """Collect the classes of all files; None where no file is of Supervisely."""
        names: set[str] = set()
        is_known = False
        for file in files:
            try:
                content = _content(file)
            except DataError:
                continue  # reported when it is drawn
            is_known = True
            rows = [row for row in content["objects"] if isinstance(row, dict)]
            given = (class_name(row.get("classTitle")) for row in rows)
            names |= {name for name in given if name is not None}
        classes = sorted(name for name in names if isinstance(meaning(name), str))
        return cls(checked_names(classes, "Supervisely")) if is_known else None

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`."""
        content = _content(file)
        items = (
            _read(row, f"{image.name}, object {number}")
            for number, row in enumerate(content["objects"], start=1)
        )
        size = content.get("size")
        return image_shapes(items, size_of(size, "height", "width") if size else None)


def _content(file: Path) -> Mapping[str, Any]:
    """Return the content of a file.

    Raises:
        DataError: it is damaged, or not of Supervisely.
    """
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
        raise DataError(f"{file}: the file lacks Supervisely's list 'objects'; export it again")
    return content


def _read(row: Any, label: str) -> Shape | NotDrawn:
    """Return an object as a shape, or why it has none."""
    if not isinstance(row, dict):
        return NotDrawn("damaged (not an object of json)", label, is_damaged=True)
    name, kind = class_name(row.get("classTitle")), row.get("geometryType")
    if name is None:
        return NotDrawn("without a class", label)
    if kind in _NOT_AREAS:
        return NotDrawn(_NOT_AREAS[kind], label, name)
    try:
        area = _area(kind, row)
    except (KeyError, TypeError, ValueError) as error:
        return NotDrawn(f"damaged ({error})", label, name, is_damaged=True)
    if area is None:
        return NotDrawn(f"of type {kind!r} without an outline", label, name)
    return Shape(meaning(name), area, label)


def _area(kind: Any, row: Mapping[str, Any]) -> Area | None:
    """Return the area of an object.

    Raises:
        KeyError, TypeError, ValueError: it lacks keys, or they are damaged.
    """
    if kind == "polygon":
        outer = points_of(row["points"]["exterior"])
        holes = [points_of(ring) for ring in row["points"].get("interior") or ()]
        if outer is None or any(ring is None for ring in holes):
            raise ValueError("points that are not pairs of numbers")
        if len(outer) < 3:
            return None
        inner = tuple(ring for ring in holes if ring is not None and len(ring) >= 3)
        return Rings((outer,), inner, border=True)
    if kind == "bitmap":
        left, top = (int(value) for value in row["bitmap"]["origin"])
        return Bitmap(_bitmap(row["bitmap"]["data"]), left, top)
    return None


def _bitmap(text: Any) -> npt.NDArray[np.bool_]:
    """Return the pixels of a bitmap.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(str(text)), _MOST_BYTES)
        with Image.open(io.BytesIO(data)) as image:
            alpha = image.convert("RGBA").getchannel("A") if _has_alpha(image) else image
            return np.asarray(alpha, np.bool_)
    except (binascii.Error, zlib.error, OSError, SyntaxError) as error:
        raise ValueError(f"the bitmap is not a packed PNG: {error}") from None


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
