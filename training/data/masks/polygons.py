"""Masks that are stored as polygons: COCO json, YOLO text files, labelme json.

Each class draws the mask of one image: value 0 is the background, value n + 1 is class n. Shapes
that come later cover earlier ones; COCO's are drawn from the largest to the smallest, so that
small objects stay visible. Shapes: masks are uint8 (H, W), at the upright size of the image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from maskzoo.models.errors import DataError
from maskzoo.models.images.decode import read_header
from maskzoo.training.data.masks.maskfile import RawMask

_MOST_CLASSES = 253  # beside the background


class Annotations(Protocol):
    """Draws the masks of a data set.

    Attributes:
        form: what reports call it.
        names: the classes without the background.
    """

    @property
    def form(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def draw(self, image: Path, file: Path) -> RawMask:
        """Draw the mask of `image`, whose annotation is in `file`.

        Raises:
            DataError: the annotation is damaged.
        """


@dataclass(frozen=True)
class LabelmePolygons:
    """labelme: one json for each image, with `shapes` of labelled points."""

    names: tuple[str, ...]
    form: str = "labelme polygons"

    @classmethod
    def of(cls, files: Sequence[Path]) -> LabelmePolygons | None:
        """Collect the labels of all files; None where no file is labelme's."""
        labels: set[str] = set()
        for file in files:
            try:
                labels |= {str(shape.get("label")) for shape in _shapes(file)}
            except DataError:
                continue  # told when it is drawn, unless no file is labelme's
        names = sorted(labels - {"_background_", "background"})
        return cls(_checked(names, "labelme")) if names else None

    def draw(self, image: Path, file: Path) -> RawMask:
        """See `Annotations.draw`."""
        shapes = _shapes(file)
        canvas = _canvas(image)
        for shape in shapes:
            label = str(shape.get("label"))
            value = self.names.index(label) + 1 if label in self.names else 0
            _fill(canvas, _outline(shape), value)
        return RawMask(canvas, "values", "polygons")


def _shapes(file: Path) -> Sequence[Mapping[str, Any]]:
    content = _read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise DataError("is no labelme file: it has no list 'shapes'; label this image again")
    return [shape for shape in content["shapes"] if isinstance(shape, dict)]


def _outline(shape: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """Return a labelme shape as a polygon (n, 2)."""
    points = np.asarray(shape.get("points", []), np.float64).reshape(-1, 2)
    match shape.get("shape_type", "polygon"):
        case "rectangle" if len(points) == 2:
            (left, top), (right, bottom) = points
            return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        case "circle" if len(points) == 2:
            radius = float(np.hypot(*(points[1] - points[0])))
            angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
            return points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        case "polygon":
            return points
    return np.empty((0, 2))  # points and lines have no area


@dataclass(frozen=True)
class YoloPolygons:
    """YOLO segmentation: one text file for each image, `class x1 y1 x2 y2 …` in 0 … 1."""

    names: tuple[str, ...]
    form: str = "YOLO polygons"

    @classmethod
    def of(cls, files: Sequence[Path], names: Sequence[str]) -> YoloPolygons | None:
        """Build it from the names that are known; further ids are called class_n.

        Returns:
            None where no line of any file is a polygon (boxes have five numbers).
        """
        highest = -1
        for file in files:
            for row in _yolo_rows(file):
                highest = max(highest, int(row[0]))
        if highest < 0:
            return None
        told = [*names, *(f"class_{index}" for index in range(len(names), highest + 1))]
        return cls(_checked(told, "YOLO"))

    def draw(self, image: Path, file: Path) -> RawMask:
        """See `Annotations.draw`."""
        canvas = _canvas(image)
        height, width = canvas.shape
        for row in _yolo_rows(file):
            points = np.asarray(row[1:]).reshape(-1, 2) * (width, height)
            _fill(canvas, points, int(row[0]) + 1)
        return RawMask(canvas, "values", "polygons")


def _yolo_rows(file: Path) -> list[list[float]]:
    """Return the lines that are polygons: a class and at least three points."""
    rows: list[list[float]] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            raise DataError(f"line {number} holds no numbers: {line[:40]!r}") from None
        if len(row) >= 7 and len(row) % 2 == 1:
            rows.append(row)
    return rows


@dataclass(frozen=True)
class CocoDocument:
    """A COCO json: its content, and where the images lie that it lists, by their ids."""

    content: Mapping[str, Any]
    images: Mapping[int, Path]

    def categories(self) -> dict[int, str]:
        """Return the names of all categories by their ids."""
        return {int(row["id"]): str(row["name"]) for row in self.content["categories"]}


def coco_groups(documents: Sequence[CocoDocument]) -> set[str]:
    """Return the categories that are no classes.

    They have no shape in any document, and are but what others name as their group: Roboflow lists
    one first.
    """
    named: set[str] = set()
    drawn: set[str] = set()
    for document in documents:
        for row in document.content["categories"]:
            named |= {str(row.get("supercategory"))} - {str(row["name"])}
        names = document.categories()
        used = {int(row["category_id"]) for row in document.content["annotations"]}
        drawn |= {name for number, name in names.items() if number in used}
    every = {name for document in documents for name in document.categories().values()}
    return every & named - drawn


@dataclass(frozen=True)
class CocoPolygons:
    """COCO: json documents with images, annotations (polygons or run lengths) and categories.

    Args:
        names: the categories, in the order of their ids.
        shapes: annotations of each image with the value to draw.
    """

    names: tuple[str, ...]
    shapes: Mapping[Path, Sequence[tuple[int, Any]]] = field(repr=False)
    form: str = "COCO polygons"

    @classmethod
    def of(cls, documents: Sequence[CocoDocument]) -> CocoPolygons:
        """Join the documents of all splits: a class is a name, whatever its id in each."""
        first: dict[str, int] = {}
        for document in documents:
            for number, name in document.categories().items():
                first.setdefault(name, number)
        classes = first.keys() - coco_groups(documents)
        names = _checked(sorted(classes, key=lambda name: (first[name], name)), "COCO")
        value = {name: place for place, name in enumerate(names, start=1)}
        shapes: dict[Path, list[tuple[int, Any]]] = {}
        for document in documents:
            categories = document.categories()
            rows = document.content["annotations"]
            for row in sorted(rows, key=lambda row: -float(row.get("area", 0))):
                image = document.images.get(int(row["image_id"]))
                if image is not None and row.get("segmentation"):
                    name = categories.get(int(row["category_id"]), "")
                    shape = value.get(name, 0), row["segmentation"]
                    shapes.setdefault(image, []).append(shape)
        return cls(names, shapes)

    def draw(self, image: Path, file: Path) -> RawMask:
        """See `Annotations.draw`."""
        canvas = _canvas(image)
        for value, outline in self.shapes.get(image, ()):
            if isinstance(outline, dict):
                _fill_runs(canvas, outline, value)
                continue
            for ring in outline:
                _fill(canvas, np.asarray(ring, np.float64).reshape(-1, 2), value)
        return RawMask(canvas, "values", "polygons")


def _checked(names: Sequence[str], form: str) -> tuple[str, ...]:
    if len(names) > _MOST_CLASSES:
        raise DataError(
            f"the {form} polygons are of {len(names)} classes; at most {_MOST_CLASSES} beside the "
            "background are possible: leave the rarest out, or join some"
        )
    return tuple(names)


def _fill_runs(canvas: npt.NDArray[np.uint8], runs: dict[str, Any], value: int) -> None:
    height, width = runs["size"]
    if (height, width) != canvas.shape:
        raise DataError(f"run lengths are for {width} x {height}, the image has another size")
    packed = runs
    if isinstance(runs["counts"], list):
        packed = coco_mask.frPyObjects(runs, height, width)
    canvas[coco_mask.decode(packed) > 0] = value


def _canvas(image: Path) -> npt.NDArray[np.uint8]:
    info = read_header(image)
    return np.zeros((info.height, info.width), np.uint8)


def _fill(canvas: npt.NDArray[np.uint8], points: npt.NDArray[np.float64], value: int) -> None:
    if len(points) >= 3 and np.isfinite(points).all():
        corners = np.rint(points).astype(np.int32)
        cv2.fillPoly(canvas, [corners], value)


@lru_cache(maxsize=8)
def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"is no json that can be read: {error}") from error


def read_coco(file: Path) -> dict[str, Any] | None:
    """Return the content of a COCO json, or None where it is something else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    keys = {"images", "annotations", "categories"}
    return content if isinstance(content, dict) and keys <= content.keys() else None
