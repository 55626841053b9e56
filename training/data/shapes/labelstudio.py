"""Label Studio: one json of all tasks, full or "JSON-MIN".

Format: https://labelstud.io/guide/export. Coordinates are percent of the image; `original_width`
and `original_height` stand beside each result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from maskzoo.models.errors import counted
from maskzoo.training.data.records.shape import (
    Area,
    Bitmap,
    Ellipse,
    ImageShapes,
    ListedImages,
    NotDrawn,
    Rings,
    Shape,
    meaning,
)
from maskzoo.training.data.shapes.brush import unpack_brush
from maskzoo.training.data.shapes.fields import image_shapes, points_of, size_of

_NOT_AREAS = {
    "rectanglelabels": "boxes without an outline",
    "keypointlabels": "points",
    "vectorlabels": "lines",
}
_AREAS = ("polygonlabels", "brushlabels", "ellipselabels")
_IMAGE_NAME = re.compile(r"\.(jpe?g|png|bmp|tiff?|webp|gif)$", re.IGNORECASE)

Row = Mapping[str, Any]


def read_label_studio(content: Any) -> ListedImages | None:
    """Return the annotations in a json of Label Studio, or None where it is something else."""
    if not isinstance(content, list) or not content:
        return None
    tasks = [task for task in content if isinstance(task, dict)]
    if len(tasks) < len(content) or not all(_image_name(task) for task in tasks):
        return None
    found = [(_image_name(task), _results(task)) for task in tasks]
    if not any(results is not None for _, results in found):
        return None
    notes: list[str] = []
    unlabelled = sum(results is None for _, results in found)
    if unlabelled:
        notes.append(
            f"{counted(unlabelled, 'task has', 'tasks have')} "
            "no annotation in Label Studio: not used"
        )
    several = sum(len(_submitted(task)) > 1 for task in tasks)
    if several:
        notes.append(
            f"{counted(several, 'task has', 'tasks have')} "
            "several annotations: the first of each is used"
        )
    images = tuple((name, _read(name, rows)) for name, rows in found if rows is not None)
    return ListedImages(images, tuple(notes))


def _image_name(task: Row) -> str:
    """Return the path of a task's image, or an empty text where it has none."""
    data = task["data"] if isinstance(task.get("data"), dict) else task
    for value in data.values():
        path = unquote(str(value)).rpartition("?d=")[2].partition("?")[0]
        if isinstance(value, str) and _IMAGE_NAME.search(path):
            return path
    return ""


def without_upload_prefix(name: str) -> str:
    """Return a path without the eight letters that Label Studio puts before uploaded files."""
    path = PurePosixPath(name)
    return str(path.with_name(re.sub(r"^[0-9a-f]{8}-", "", path.name)))


def _submitted(task: Row) -> list[Row]:
    """Return the annotations of a task that were not cancelled."""
    every = task.get("annotations", task.get("completions"))
    rows = [row for row in every if isinstance(row, dict)] if isinstance(every, list) else []
    return [row for row in rows if not row.get("was_cancelled")]


def _results(task: Row) -> list[Row] | None:
    """Return the results of a task's first annotation; None where it has no annotation."""
    if isinstance(task.get("data"), dict):
        submitted = _submitted(task)
        if not submitted:
            return None
        results = submitted[0].get("result") or []
        return [
            {**row, **row["value"]}
            for row in results
            if isinstance(row, dict) and isinstance(row.get("value"), dict)
        ]
    rows = [row for value in task.values() if isinstance(value, list) for row in value]
    own: list[Row] = [row for row in rows if isinstance(row, dict) and "original_width" in row]
    return own or None


def _read(name: str, rows: list[Row]) -> ImageShapes:
    size = next((size for row in rows if (size := _size(row)) is not None), None)
    return image_shapes(_shapes(name, rows), size)


def _size(row: Row) -> tuple[int, int] | None:
    return size_of(row, "original_height", "original_width")


def _shapes(name: str, rows: list[Row]) -> Iterator[Shape | NotDrawn]:
    for number, row in enumerate(rows, start=1):
        label = f"{PurePosixPath(name).name}, result {row.get('id', number)}"
        kind = next((key for key in (*_AREAS, *_NOT_AREAS) if key in row), None)
        if kind is None:
            continue  # choices, texts: not of a place in the image
        labels = row[kind]
        text = str(labels[0]) if isinstance(labels, list) and labels else None
        if text is None:
            yield NotDrawn("without a label", label)
        elif row.get("image_rotation"):
            yield NotDrawn("drawn on an image that was turned in Label Studio", label, text)
        elif kind in _NOT_AREAS:
            yield NotDrawn(_NOT_AREAS[kind], label, text)
        else:
            try:
                area = _area(kind, row)
            except (KeyError, TypeError, ValueError) as error:
                yield NotDrawn(f"damaged ({error})", label, text, is_damaged=True)
                continue
            if area is None:
                yield NotDrawn("outlines of fewer than three points", label, text)
            else:
                yield Shape(meaning(text), area, label)


def _area(kind: str, row: Row) -> Area | None:
    """Return the area of a result, in pixels of the stated size.

    Raises:
        KeyError, TypeError, ValueError: it lacks keys, or they are damaged.
    """
    size = _size(row)
    if size is None:
        raise ValueError("original_width and original_height are missing")
    height, width = size
    if kind == "brushlabels":
        return Bitmap(unpack_brush(row["rle"], size))
    if kind == "ellipselabels":
        keys = ("x", "y", "radiusX", "radiusY")
        x, y, across, down = (float(row[key]) / 100 for key in keys)
        radii = (across * width, down * height)
        return Ellipse((x * width, y * height), radii, float(row.get("rotation") or 0))
    points = points_of(row["points"])
    if points is None:
        raise ValueError("points that are not pairs of numbers")
    return Rings((points * (width / 100, height / 100),)) if len(points) >= 3 else None
