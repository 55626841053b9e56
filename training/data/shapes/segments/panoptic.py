"""COCO panoptic: a json of segments, and for each image a PNG whose colours number them.

Format: https://cocodataset.org/#format-data. A segment's number is R + 256 G + 65536 B; pixels of
number 0 belong to nothing and are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.shape import (
    Bitmap,
    ImageShapes,
    NotDrawn,
    Reserved,
    Shape,
    meaning,
)
from maskzoo.training.data.shapes.fields import identifier, image_shapes


@dataclass(frozen=True)
class PanopticShapes:
    """The segments of COCO's panoptic json.

    Args:
        names: the categories, in the order of their ids.
        segments: the category of each segment's number, by PNG.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    segments: Mapping[Path, Mapping[int, str | None]] = field(repr=False)
    storage: str = "COCO panoptic"

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`."""
        try:
            with Image.open(file) as opened:
                colours = np.asarray(opened.convert("RGB")).astype(np.int64)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{file}: the file cannot be read ({error}); export it again") from None
        numbers = colours @ (1, 256, 65536)
        height, width = numbers.shape
        return image_shapes(_shapes(numbers, self.segments.get(file, {}), file), (height, width))


def segments_of(row: Mapping[str, Any], categories: Mapping[str, str]) -> dict[int, str | None]:
    """Return the category of each segment of an annotation.

    Raises:
        ValueError: a segment lacks its id.
    """
    found: dict[int, str | None] = {}
    for segment in row.get("segments_info") or ():
        try:
            found[int(segment["id"])] = categories.get(identifier(segment.get("category_id")))
        except (AttributeError, KeyError, TypeError):
            raise ValueError(f"a segment without an id: {str(segment)[:60]}") from None
    return found


def _shapes(
    numbers: np.ndarray, segments: Mapping[int, str | None], file: Path
) -> Iterator[Shape | NotDrawn]:
    every, places = np.unique(numbers, return_inverse=True)
    places = places.reshape(numbers.shape)
    for place, number in enumerate(every.tolist()):
        label = f"{file.name}, segment {number}"
        name = segments.get(number)
        if number == 0:
            yield Shape(Reserved.VOID, Bitmap(places == place), f"{file.name}, pixels of nothing")
        elif name is None:
            yield NotDrawn("of a category that the json does not list", label)
        else:
            yield Shape(meaning(name), Bitmap(places == place), label)
    for number in segments.keys() - set(every.tolist()):
        label = f"{file.name}, segment {number}"
        yield NotDrawn("segments without pixels in the PNG", label, segments[number])
