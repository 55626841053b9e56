"""COCO: one json for all images of a split, with annotations and categories."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.rawmask import RawMask
from maskzoo.training.data.shapes.drawing import as_mask, blank, checked_names, fill


@dataclass(frozen=True)
class CocoDocument:
    """A COCO json.

    Args:
        content: its content.
        images: files of the images that it lists, by their ids.
    """

    content: Mapping[str, Any]
    images: Mapping[int, Path]

    def categories(self) -> dict[int, str]:
        """Return the names of all categories by their ids."""
        return {int(row["id"]): str(row["name"]) for row in self.content["categories"]}


def coco_groups(documents: Sequence[CocoDocument]) -> set[str]:
    """Return the categories that are not classes but groups of classes.

    A group has no shape in any document, and other categories name it as their supercategory.
    Roboflow lists such a group first.
    """
    named: set[str] = set()
    with_shapes: set[str] = set()
    for document in documents:
        for row in document.content["categories"]:
            named |= {str(row.get("supercategory"))} - {str(row["name"])}
        names = document.categories()
        used = {int(row["category_id"]) for row in document.content["annotations"]}
        with_shapes |= {name for number, name in names.items() if number in used}
    every = {name for document in documents for name in document.categories().values()}
    return every & named - with_shapes


@dataclass(frozen=True)
class CocoPolygons:
    """The outlines of COCO documents: polygons and run lengths.

    Args:
        names: the categories, in the order of their ids.
        shapes: value and outline of each annotation, by image; the largest come first.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    shapes: Mapping[Path, Sequence[tuple[int, Any]]] = field(repr=False)
    storage: str = "COCO polygons"

    @classmethod
    def of(cls, documents: Sequence[CocoDocument]) -> CocoPolygons:
        """Join the documents of all splits by the names of classes; ids may differ between them."""
        first: dict[str, int] = {}
        for document in documents:
            for number, name in document.categories().items():
                first.setdefault(name, number)
        classes = first.keys() - coco_groups(documents)
        names = checked_names(sorted(classes, key=lambda name: (first[name], name)), "COCO")
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

    def draw(self, image: Path, file: Path, size: tuple[int, int]) -> RawMask:
        """See `Annotations.draw`."""
        canvas = blank(size)
        for value, outline in self.shapes.get(image, ()):
            if isinstance(outline, dict):
                _fill_runs(canvas, outline, value)
                continue
            for ring in outline:
                fill(canvas, np.asarray(ring, np.float64).reshape(-1, 2), value)
        return as_mask(canvas)


def _fill_runs(canvas: npt.NDArray[np.uint8], runs: dict[str, Any], value: int) -> None:
    """Fill run lengths, packed or as a list, on the canvas.

    Raises:
        DataError: they are of another size.
    """
    height, width = runs["size"]
    if (height, width) != canvas.shape:
        raise DataError(
            f"the run lengths are for {width} x {height}, but the image is {canvas.shape[1]} x "
            f"{canvas.shape[0]}; export the annotations again for this image"
        )
    packed = runs
    if isinstance(runs["counts"], list):
        packed = coco_mask.frPyObjects(runs, height, width)
    canvas[coco_mask.decode(packed) > 0] = value


def read_coco(file: Path) -> dict[str, Any] | None:
    """Return the content of a COCO json, or None where it is something else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    keys = {"images", "annotations", "categories"}
    return content if isinstance(content, dict) and keys <= content.keys() else None
