"""Shapes of one image as annotation tools keep them, in pixels or in fractions of the image.

Coordinates are continuous: the pixel in column x covers x to x + 1, and its centre is at x + 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]  # (n, 2), x and y


class Reserved(Enum):
    """Names that are not classes: what a tool calls the background, and what it ignores."""

    BACKGROUND = "background"
    VOID = "void"


_RESERVED = {
    "_background_": Reserved.BACKGROUND,
    "background": Reserved.BACKGROUND,
    "__ignore__": Reserved.VOID,
}


def meaning(name: str) -> str | Reserved:
    """Return the class that a name stands for, or what it is reserved for (by labelme)."""
    return _RESERVED.get(name.strip(), name)


@dataclass(frozen=True)
class Rings:
    """An area between outlines.

    Args:
        outer: outlines, each of three corners or more; the area is the union of their insides.
        holes: outlines whose insides are taken out.
        border: the pixels that an outline touches belong to it, as labelme draws; else an outline
            is drawn as pycocotools draws it.
    """

    outer: tuple[Points, ...]
    holes: tuple[Points, ...] = ()
    border: bool = False


@dataclass(frozen=True)
class Ellipse:
    """An ellipse.

    Args:
        centre: x and y.
        radii: half axes along x and y.
        turn: degrees, clockwise.
        border: as in `Rings`.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    turn: float = 0.0
    border: bool = False


@dataclass(frozen=True)
class Bitmap:
    """Pixels of a part of the image.

    Args:
        pixels: bool (h, w).
        left, top: column and row of its first pixel.
    """

    pixels: npt.NDArray[np.bool_]
    left: int = 0
    top: int = 0


@dataclass(frozen=True)
class Runs:
    """COCO's packed run lengths.

    Args:
        size: (H, W) of the image that they are for.
        counts: the packed runs.
    """

    size: tuple[int, int]
    counts: bytes


Area = Rings | Ellipse | Bitmap | Runs


@dataclass(frozen=True)
class Shape:
    """One annotated object.

    Args:
        name: its class, or what its name is reserved for.
        area: its pixels.
        label: what it is called in messages, such as `annotation 17`.
    """

    name: str | Reserved
    area: Area
    label: str


@dataclass(frozen=True)
class NotDrawn:
    """An annotation without pixels.

    Args:
        kind: what it is, so that it reads well after a number: `boxes without an outline`.
        example: where it is, and what it holds.
        name: its class, where that is known.
        is_damaged: the annotation cannot be what its tool wrote.
    """

    kind: str
    example: str
    name: str | None = None
    is_damaged: bool = False


@dataclass(frozen=True)
class ImageShapes:
    """All annotations of one image.

    Args:
        size: (H, W) of the image as stated beside the annotations; None where nothing is said.
        shapes: what has pixels, in the order of the file.
        not_drawn: what has none.
        is_relative: coordinates are fractions of the image, from 0 to 1.
    """

    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]
    not_drawn: tuple[NotDrawn, ...] = ()
    is_relative: bool = False


@dataclass(frozen=True)
class ListedImages:
    """What a file says that holds the annotations of many images.

    Args:
        images: the annotations by the image's name or path, as the file writes it.
        notes: decisions, as sentences for people.
    """

    images: tuple[tuple[str, ImageShapes], ...]
    notes: tuple[str, ...] = ()


class Annotations(Protocol):
    """Reads the shapes of a data set that stores shapes and not pixels.

    Attributes:
        storage: what reports call it.
        names: the classes without the background.
    """

    @property
    def storage(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def read(self, image: Path, file: Path) -> ImageShapes:
        """Return the annotations of an image.

        Args:
            image: file of the image.
            file: file of its annotations.

        Raises:
            DataError: the file cannot be read.
        """
