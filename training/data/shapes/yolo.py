"""YOLO: one text file for each image, with a line for each polygon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.rawmask import RawMask
from maskzoo.training.data.shapes.drawing import as_mask, blank, checked_names, fill


@dataclass(frozen=True)
class YoloPolygons:
    """The outlines of YOLO files: lines of `class x1 y1 x2 y2 …`, all from 0 to 1.

    Args:
        names: names of the classes, in the order of their ids.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    storage: str = "YOLO polygons"

    @classmethod
    def of(cls, files: Sequence[Path], names: Sequence[str]) -> YoloPolygons | None:
        """Collect the ids of all files; ids without a name are called class_n.

        Args:
            files: the text files.
            names: names that are known, in the order of the ids.

        Returns:
            None where no line of any file is a polygon (a box has five numbers).
        """
        highest = -1
        for file in files:
            for row in _yolo_rows(file):
                highest = max(highest, int(row[0]))
        if highest < 0:
            return None
        every = [*names, *(f"class_{index}" for index in range(len(names), highest + 1))]
        return cls(checked_names(every, "YOLO"))

    def draw(self, image: Path, file: Path, size: tuple[int, int]) -> RawMask:
        """See `Annotations.draw`."""
        canvas = blank(size)
        height, width = canvas.shape
        for row in _yolo_rows(file):
            points = np.asarray(row[1:]).reshape(-1, 2) * (width, height)
            fill(canvas, points, int(row[0]) + 1)
        return as_mask(canvas)


def _yolo_rows(file: Path) -> list[list[float]]:
    """Return the lines that are polygons: a class and at least three points."""
    rows: list[list[float]] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            raise DataError(
                f"line {number} holds {line[:40]!r}; a line is a class and points, all numbers"
            ) from None
        if len(row) >= 7 and len(row) % 2 == 1:
            rows.append(row)
    return rows
