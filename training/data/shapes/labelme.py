"""labelme: one json for each image, with `shapes` of labelled points."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.rawmask import RawMask
from maskzoo.training.data.shapes.drawing import as_mask, blank, checked_names, fill


@dataclass(frozen=True)
class LabelmePolygons:
    """The outlines of labelme files.

    Args:
        names: the labels, sorted, without the background.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    storage: str = "labelme polygons"

    @classmethod
    def of(cls, files: Sequence[Path]) -> LabelmePolygons | None:
        """Collect the labels of all files; None where no file has any."""
        labels: set[str] = set()
        for file in files:
            try:
                labels |= {str(shape.get("label")) for shape in _shapes(file)}
            except DataError:
                continue  # reported when it is drawn, unless no file is of labelme
        names = sorted(labels - {"_background_", "background"})
        return cls(checked_names(names, "labelme")) if names else None

    def draw(self, image: Path, file: Path, size: tuple[int, int]) -> RawMask:
        """See `Annotations.draw`."""
        shapes = _shapes(file)
        canvas = blank(size)
        for shape in shapes:
            label = str(shape.get("label"))
            value = self.names.index(label) + 1 if label in self.names else 0
            fill(canvas, _outline(shape), value)
        return as_mask(canvas)


def _shapes(file: Path) -> Sequence[Mapping[str, Any]]:
    """Return the shapes in a labelme file.

    Raises:
        DataError: the file is damaged, or not of labelme.
    """
    content = _read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise DataError("the file lacks labelme's list 'shapes'; label this image again")
    return [shape for shape in content["shapes"] if isinstance(shape, dict)]


def _outline(shape: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """Return a shape as a polygon (n, 2) of x and y; an empty one where it has no area."""
    points = np.asarray(shape.get("points", []), np.float64).reshape(-1, 2)
    match shape.get("shape_type", "polygon"):
        case "rectangle" if len(points) == 2:
            (left, top), (right, bottom) = points
            return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        case "circle" if len(points) == 2:
            radius = float(np.hypot(*(points[1] - points[0])))
            angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
            circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
            return np.asarray(points[0] + radius * circle)
        case "polygon":
            return points
    return np.empty((0, 2))  # points and lines have no area


@lru_cache(maxsize=8)
def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"the file cannot be read as json ({error}); label this image again"
        ) from error
