"""VGG Image Annotator (VIA 1 and 2): regions of all images in one json.

Format: https://www.robots.ox.ac.uk/~vgg/software/via/ (an image's `regions` are a dict in VIA 1 and
a list in VIA 2; a project file has the images under `_via_img_metadata`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from maskzoo.training.data.records.shape import (
    Area,
    Ellipse,
    ListedImages,
    NotDrawn,
    Rings,
    Shape,
    meaning,
)
from maskzoo.training.data.shapes.fields import image_shapes, points_of

_CLASS_KEYS = ("label", "name", "class", "category", "type", "object", "object_name")
_NO_AREA = {"polyline": "lines", "line": "lines", "point": "points"}
_ONLY_CLASS = "object"  # where no region has an attribute


def read_via(content: Any) -> ListedImages | None:
    """Return the annotations in a json of VIA, or None where it is something else."""
    if isinstance(content, dict) and isinstance(content.get("_via_img_metadata"), dict):
        content = content["_via_img_metadata"]
    if not isinstance(content, dict) or not content:
        return None
    rows = [row for row in content.values() if isinstance(row, dict)]
    if len(rows) < len(content) or not all({"filename", "regions"} <= row.keys() for row in rows):
        return None
    key = _class_key([region for row in rows for region in _regions(row)])
    images = tuple(
        (
            str(row["filename"]),
            image_shapes(
                _read(region, key, f"{row['filename']}, region {number}")
                for number, region in enumerate(_regions(row), start=1)
            ),
        )
        for row in rows
    )
    note = f"classes are the values of the region attribute {key!r}"
    return ListedImages(images, (note,) if key else ("the regions have no attributes: one class",))


def _regions(row: Mapping[str, Any]) -> Iterator[Any]:
    regions = row["regions"]
    yield from regions.values() if isinstance(regions, dict) else regions or ()


def _class_key(regions: list[Any]) -> str | None:
    """Return the attribute that names classes: one of the usual names, else the most frequent."""
    counts: Counter[str] = Counter()
    for region in regions:
        if isinstance(region, dict) and isinstance(region.get("region_attributes"), dict):
            counts.update(region["region_attributes"].keys())
    usual = [key for word in _CLASS_KEYS for key in counts if key.lower() == word]
    every = [*usual, *(key for key, _ in counts.most_common())]
    return every[0] if every else None


def _read(region: Any, key: str | None, label: str) -> Shape | NotDrawn:
    """Return a region as a shape, or why it has none."""
    if not isinstance(region, dict) or not isinstance(region.get("shape_attributes"), dict):
        return NotDrawn("damaged (a region without shape_attributes)", label, is_damaged=True)
    name = _name(region.get("region_attributes"), key)
    if name is None:
        return NotDrawn(f"without the attribute {key!r}", label)
    row = region["shape_attributes"]
    kind = row.get("name")
    if kind in _NO_AREA:
        return NotDrawn(_NO_AREA[kind], label, name)
    if kind == "rect":
        return NotDrawn("boxes without an outline", label, name)
    try:
        area = _area(kind, row)
    except (KeyError, TypeError, ValueError):
        return NotDrawn("damaged (coordinates that are not numbers)", label, name, True)
    if area is None:
        return NotDrawn(f"of type {kind!r} that has no outline", label, name)
    return Shape(meaning(name), area, label)


def _name(attributes: Any, key: str | None) -> str | None:
    """Return the class of a region; a tick box is a dict of those that are ticked."""
    if key is None:
        return _ONLY_CLASS
    value = attributes.get(key) if isinstance(attributes, dict) else None
    if isinstance(value, dict):
        value = next((word for word, is_ticked in value.items() if is_ticked), None)
    return str(value).strip() or None if value is not None else None


def _area(kind: Any, row: Mapping[str, Any]) -> Area | None:
    if kind == "polygon":
        across, down = row["all_points_x"], row["all_points_y"]
        points = points_of(list(zip(across, down, strict=True)))
        if points is None:
            raise ValueError
        return Rings((points,)) if len(points) >= 3 else None
    if kind == "circle":
        radius = float(row["r"])
        return Ellipse((float(row["cx"]), float(row["cy"])), (radius, radius))
    if kind == "ellipse":
        turn = math.degrees(float(row.get("theta", 0)))
        radii = (float(row["rx"]), float(row["ry"]))
        return Ellipse((float(row["cx"]), float(row["cy"])), radii, turn)
    return None
