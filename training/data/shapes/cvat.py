"""CVAT for images 1.1: one xml with the shapes of all images.

Format: https://docs.cvat.ai/docs/manual/advanced/xml_format/ (a mask's `rle` counts the pixels of
its box row by row, first those outside the object).
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.text import read_text
from maskzoo.training.data.records.shape import (
    Area,
    Bitmap,
    Ellipse,
    ListedImages,
    NotDrawn,
    Rings,
    Shape,
    meaning,
)
from maskzoo.training.data.shapes.fields import class_name, image_shapes, points_of, size_of

_NOT_AREAS = {
    "box": "boxes without an outline",
    "polyline": "lines",
    "points": "points",
    "cuboid": "cuboids",
    "skeleton": "skeletons",
}
_AREAS = {"polygon", "mask", "ellipse"}


def read_cvat(file: Path) -> ListedImages | None:
    """Return the annotations in an xml of CVAT, or None where it is something else.

    Raises:
        DataError: the xml is damaged, declares entities, or is of a video.
    """
    text = read_text(file)
    if "<annotations" not in text[:4096]:
        return None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can be made to fill the memory
        _refuse(file, "it declares a document type, which CVAT never does")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        _refuse(file, f"it is not valid xml ({error})")
    if root.tag != "annotations":
        return None
    if root.find("track") is not None:
        _refuse(file, "it is of 'CVAT for video', whose tracks belong to frames and not to images")
    images = tuple(
        (
            image.get("name", ""),
            image_shapes(
                (
                    _read(row, f"{image.get('name')}, {row.tag} {number}")
                    for number, row in enumerate(image, start=1)
                    if row.tag in _AREAS | _NOT_AREAS.keys()
                ),
                size_of(image.attrib, "height", "width"),
            ),
        )
        for image in root.iter("image")
    )
    return ListedImages(images)


def _refuse(file: Path, reason: str) -> NoReturn:
    raise DataError(f"{file}: {reason}; export it again from CVAT as 'CVAT for images 1.1'")


def _read(row: Element, label: str) -> Shape | NotDrawn:
    """Return an element as a shape, or why it has none."""
    name = class_name(row.get("label"))
    if name is None:
        return NotDrawn("without a class", label)
    if row.tag in _NOT_AREAS:
        return NotDrawn(_NOT_AREAS[row.tag], label, name)
    try:
        area = _area(row)
    except (KeyError, ValueError) as error:
        return NotDrawn(f"damaged ({error})", label, name, is_damaged=True)
    if area is None:
        return NotDrawn("outlines of fewer than three points", label, name)
    return Shape(meaning(name), area, label)


def _area(row: Element) -> Area | None:
    """Return the area of an element.

    Raises:
        KeyError, ValueError: it lacks attributes, or they are damaged.
    """
    if row.tag == "polygon":
        points = points_of([pair.split(",") for pair in row.attrib["points"].split(";")])
        if points is None:
            raise ValueError("points that are not pairs of numbers")
        return Rings((points,)) if len(points) >= 3 else None
    if row.tag == "ellipse":
        x, y, across, down = (float(row.attrib[key]) for key in ("cx", "cy", "rx", "ry"))
        return Ellipse((x, y), (across, down), float(row.get("rotation", 0)))
    left, top, width, height = (int(row.attrib[key]) for key in ("left", "top", "width", "height"))
    runs = np.array([int(word) for word in row.attrib["rle"].split(",")])
    if min(runs) < 0 or min(width, height) <= 0 or runs.sum() != width * height:
        raise ValueError(f"run lengths of {runs.sum()} pixels for a box of {width} x {height}")
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return Bitmap(pixels.reshape(height, width), left, top)
