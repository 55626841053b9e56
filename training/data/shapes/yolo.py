"""YOLO: one text file for each image, with a line for each polygon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.text import read_text
from maskzoo.training.data.records.shape import ImageShapes, NotDrawn, Rings, Shape
from maskzoo.training.data.shapes.fields import checked_names, image_shapes

_FARTHEST = 1.1  # a coordinate beyond is not a fraction; a little outside is cut at the border
_ARRAY = 16  # rows and columns of the least array of numbers
_BOX = 5  # numbers in a line


@dataclass(frozen=True)
class YoloPolygons:
    """The outlines of YOLO files: lines of `class x1 y1 x2 y2 …`, all from 0 to 1.

    Args:
        names: names of the classes, in the order of their ids.
        storage: what reports call them.
        is_bare: whether no line of any file has an outline: boxes alone.
    """

    names: tuple[str, ...]
    storage: str = "YOLO polygons"
    is_bare: bool = False

    @classmethod
    def of(cls, files: Sequence[Path], names: Sequence[str]) -> YoloPolygons | None:
        """Collect the ids of all files; where no names are known they are called class_n.

        Args:
            files: the text files.
            names: names that are known, in the order of the ids; a line of an id beyond them is
                not drawn.

        Returns:
            None where no line of any file is of YOLO.
        """
        highest = -1
        most = 0
        for file in files:
            try:
                lines = read_text(file).splitlines()
            except DataError:
                continue  # reported when it is drawn
            if _is_array(lines):
                continue
            for line in lines:
                numbers = _numbers(line)
                if numbers is not None and len(numbers) >= _BOX and numbers[0].is_integer():
                    highest = max(highest, int(numbers[0]))
                    most = max(most, len(numbers))
        if highest < 0:
            return None
        every = names or [f"class_{index}" for index in range(highest + 1)]
        return cls(checked_names(every, "YOLO"), is_bare=most <= _BOX)

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`."""
        items = (
            self._read(line, f"{file.name}, line {number} ({_short(line)})")
            for number, line in enumerate(read_text(file).splitlines(), start=1)
            if line.strip()
        )
        return image_shapes(items, is_relative=True)

    def _read(self, line: str, label: str) -> Shape | NotDrawn:
        """Return a line as a shape, or why it has none."""
        numbers = _numbers(line)
        if numbers is None:
            kind = "damaged (a line is a class and points, all numbers)"
            return NotDrawn(kind, label, is_damaged=True)
        if not numbers[0].is_integer():
            return NotDrawn("of a class that is not a whole number", label)
        if numbers[0] < 0:
            return NotDrawn("of a negative class", label)
        if numbers[0] >= len(self.names):
            return NotDrawn(f"of a class beyond the {len(self.names)} that have a name", label)
        name = self.names[int(numbers[0])]
        if len(numbers) == _BOX:
            return NotDrawn("boxes without an outline", label, name)
        if len(numbers) % 2 == 0:
            kind = "with an odd number of coordinates (a confidence at the end?)"
            return NotDrawn(kind, label, name)
        if len(numbers) < _BOX + 2:
            return NotDrawn("outlines of fewer than three points", label, name)
        points = np.asarray(numbers[1:]).reshape(-1, 2)
        if np.abs(points - 0.5).max() > _FARTHEST - 0.5:
            kind = "with coordinates that are no fractions from 0 to 1 (pixels?)"
            return NotDrawn(kind, label, name)
        return Shape(name, Rings((points,)), label)


def _numbers(line: str) -> list[float] | None:
    """Return the numbers of a line that has any, or None where not all are finite numbers."""
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        return None
    return numbers if numbers and all(map(math.isfinite, numbers)) else None


def _is_array(lines: Sequence[str]) -> bool:
    """Tell whether lines are the rows of an array: many whole numbers, the same number in each."""
    rows = [line.split() for line in lines]
    is_even = len(rows) >= _ARRAY and len({len(row) for row in rows}) == 1
    return is_even and len(rows[0]) >= _ARRAY and not any("." in line for line in lines)


def _short(line: str) -> str:
    return repr(line.strip()[:40] + ("…" if len(line.strip()) > 40 else ""))
