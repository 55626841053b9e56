"""COCO: one json for all images of a split, with annotations and categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from maskzoo.models.errors import counted
from maskzoo.training.data.files.text import read_json
from maskzoo.training.data.records.shape import (
    Area,
    ImageShapes,
    NotDrawn,
    Points,
    Rings,
    Runs,
    Shape,
    meaning,
)
from maskzoo.training.data.shapes.fields import (
    checked_names,
    identifier,
    image_shapes,
    points_of,
    size_of,
)


@dataclass(frozen=True)
class CocoDocument:
    """A COCO json.

    Args:
        file: the json.
        content: its content.
        images: files of the images that it lists, by their ids (`identifier`).
    """

    file: Path
    content: Mapping[str, Any]
    images: Mapping[str, Path]

    def categories(self) -> dict[str, str]:
        """Return the names of all categories by their ids."""
        rows = [row for row in self.content["categories"] if isinstance(row, dict)]
        return {identifier(row["id"]): str(row["name"]) for row in rows if {"id", "name"} <= {*row}}

    def annotations(self) -> list[Mapping[str, Any]]:
        """Return the annotations."""
        return [row for row in self.content["annotations"] if isinstance(row, dict)]

    def sizes(self) -> dict[str, tuple[int, int] | None]:
        """Return the stated (H, W) of the images by their ids."""
        rows = [row for row in self.content["images"] if isinstance(row, dict)]
        return {identifier(row.get("id")): size_of(row, "height", "width") for row in rows}


@dataclass(frozen=True)
class CocoImage:
    """What the documents say of one image.

    Args:
        size: (H, W) as stated.
        rows: the annotations with the names of their categories.
    """

    size: tuple[int, int] | None
    rows: list[tuple[str | None, Mapping[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True)
class CocoPolygons:
    """The outlines of COCO documents: polygons and run lengths.

    Args:
        names: the categories, in the order of their ids.
        images: the annotations by image.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    images: Mapping[Path, CocoImage] = field(repr=False)
    storage: str = "COCO polygons"

    @classmethod
    def of(cls, documents: Sequence[CocoDocument]) -> CocoPolygons:
        """Join the documents of all splits by the names of classes; ids may differ between them."""
        first: dict[str, tuple[int, str]] = {}
        for document in documents:
            for number, name in document.categories().items():
                if isinstance(meaning(name), str):
                    first.setdefault(name, (int(number) if number.isdecimal() else 0, number))
        classes = first.keys() - coco_groups(documents)
        names = checked_names(sorted(classes, key=lambda name: (first[name], name)), "COCO")
        images: dict[Path, CocoImage] = {}
        for document in documents:
            categories, sizes = document.categories(), document.sizes()
            for key, path in document.images.items():
                images.setdefault(path, CocoImage(sizes.get(key)))
            for row in document.annotations():
                image = document.images.get(identifier(row.get("image_id")))
                if image is not None:
                    category = categories.get(identifier(row.get("category_id")))
                    images[image].rows.append((category, row))
        return cls(names, images)

    @property
    def is_bare(self) -> bool:
        """Whether no annotation has an outline."""
        rows = [row for image in self.images.values() for _, row in image.rows]
        return bool(rows) and not any(row.get("segmentation") for row in rows)

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`."""
        found = self.images.get(image, CocoImage(None))
        items = (
            _read(name, row, f"{image.name}, annotation {row.get('id', f'number {place}')}")
            for place, (name, row) in enumerate(found.rows, start=1)
        )
        return image_shapes(items, found.size)


def coco_groups(documents: Sequence[CocoDocument]) -> set[str]:
    """Return the categories that are not classes but groups of classes.

    A group has no shape in any document, and other categories name it as their supercategory.
    Roboflow lists such a group first.
    """
    named: set[str] = set()
    with_shapes: set[str] = set()
    for document in documents:
        rows = [row for row in document.content["categories"] if isinstance(row, dict)]
        for row in rows:
            named |= {str(row.get("supercategory"))} - {str(row.get("name"))}
        used = {identifier(row.get("category_id")) for row in document.annotations()}
        with_shapes |= {name for key, name in document.categories().items() if key in used}
    every = {name for document in documents for name in document.categories().values()}
    return every & named - with_shapes


def coco_notes(documents: Sequence[CocoDocument]) -> list[str]:
    """Return notes about what belongs to no image and no class."""
    notes = [
        f"category {name!r} has no shape and is the name of a group: it is not a class"
        for name in sorted(coco_groups(documents))
    ]
    for document in documents:
        twice = Counter(document.categories().values())
        notes += [
            f"{document.file.name}: {count} categories are named {name!r}: one class"
            for name, count in twice.items()
            if count > 1
        ]
        listed = document.sizes().keys()
        lost = Counter(
            identifier(row.get("image_id"))
            for row in document.annotations()
            if identifier(row.get("image_id")) not in listed
        )
        if lost:
            notes.append(
                f"{document.file.name}: "
                f"{counted(lost.total(), 'annotation belongs', 'annotations belong')} "
                "to images that it does "
                f"not list (image_id {', '.join([*lost][:3])})"
            )
    return notes


def read_coco(file: Path) -> dict[str, Any] | None:
    """Return the content of a COCO json, or None where it is something else.

    Raises:
        DataError: the file is damaged.
    """
    content = read_json(file)
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not {*keys} <= content.keys():
        return None
    if not all(isinstance(content[key], list) for key in keys) or is_panoptic(content):
        return None
    return content


def is_panoptic(content: Mapping[str, Any]) -> bool:
    """Tell whether annotations are segments of PNG files and not shapes."""
    return any(isinstance(row, dict) and "segments_info" in row for row in content["annotations"])


def _read(name: str | None, row: Mapping[str, Any], label: str) -> Shape | NotDrawn:
    """Return an annotation as a shape, or why it has none."""
    if name is None:
        example = f"{label}, category_id {row.get('category_id')!r}"
        return NotDrawn("of a category that the json does not list", example)
    outline = row.get("segmentation")
    if not outline:
        kind = "boxes without an outline" if row.get("bbox") else "annotations without an outline"
        return NotDrawn(kind, label, name)
    try:
        area: Area | None = (
            run_lengths(outline) if isinstance(outline, dict) else _polygons(outline)
        )
    except ValueError as error:
        return NotDrawn(f"damaged ({error})", label, name, is_damaged=True)
    if area is None:
        return NotDrawn("outlines of fewer than three points", label, name)
    return Shape(meaning(name), area, label)


def _polygons(outline: Any) -> Rings | None:
    """Return the rings of a polygon; one may stand there as a flat list.

    Raises:
        ValueError: they cannot be coordinates.
    """
    if not isinstance(outline, list):
        raise ValueError("the outline is neither a list nor run lengths")
    is_flat = not any(isinstance(ring, list) for ring in outline)
    rings: list[Points] = []
    for ring in [outline] if is_flat else outline:
        pairs = ring
        if isinstance(ring, list) and not any(isinstance(value, list) for value in ring):
            if len(ring) % 2:
                raise ValueError("an odd number of coordinates")
            pairs = [ring[place : place + 2] for place in range(0, len(ring), 2)]
        points = points_of(pairs)
        if points is None:
            raise ValueError("coordinates that are not numbers")
        if len(points) >= 3:
            rings.append(points)
    return Rings(tuple(rings)) if rings else None


def run_lengths(runs: Mapping[str, Any]) -> Runs:
    """Return run lengths, packed or as a list.

    Raises:
        ValueError: they are damaged: pycocotools would read beyond the end.
    """
    try:
        height, width = (int(side) for side in runs["size"])
        counts = runs["counts"]
        lengths = _unpacked(counts) if isinstance(counts, str) else [int(n) for n in counts]
    except (KeyError, TypeError, ValueError):
        raise ValueError("run lengths without a size or counts") from None
    if min(height, width) <= 0 or min(lengths, default=0) < 0 or sum(lengths) != height * width:
        raise ValueError(f"run lengths of {sum(lengths)} pixels for a size of {width} x {height}")
    packed = coco_mask.frPyObjects({"size": [height, width], "counts": lengths}, height, width)
    return Runs((height, width), packed["counts"])


def _unpacked(text: str) -> list[int]:
    """Return packed run lengths: five bits a character, differences to the last but one."""
    lengths: list[int] = []
    place = 0
    codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    values = codes.tolist()
    while place < len(values):
        number, shift = 0, 0
        while True:
            code = values[place]  # IndexError: the last number lacks its end
            if not 0 <= code < 64:
                raise ValueError
            number |= (code & 31) << shift
            place, shift = place + 1, shift + 5
            if not code & 32:
                break
            if place == len(values):
                raise ValueError
        if code & 16:
            number -= 1 << shift
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
    return lengths
