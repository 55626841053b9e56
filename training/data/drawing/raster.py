"""Pixels of one shape, as packed runs.

Polygons are drawn by pycocotools, so a mask equals the one that COCO's own tools make. Shapes of
labelme are drawn by Pillow, as labelme's export draws them. Runs take few bytes, so all shapes of
an image can be kept until their order is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from maskzoo.training.data.records.shape import Area, Bitmap, Ellipse, Points, Rings, Runs

_FARTHEST = 8  # sizes of the image that a coordinate may lie outside; beyond, it is a slip
_CORNERS = 180  # of a polygon that stands for a turned ellipse

BoolImage = npt.NDArray[np.bool_]


class OutsideError(ValueError):
    """Coordinates that are not numbers, or lie far outside the image."""


@dataclass(frozen=True)
class Patch:
    """The pixels of a shape.

    Args:
        runs: COCO's packed run lengths of a part of the image.
        left, top: column and row of the first pixel of that part.
    """

    runs: dict[str, Any]
    left: int = 0
    top: int = 0

    @property
    def num_pixels(self) -> int:
        """Number of pixels."""
        return int(coco_mask.area(self.runs))

    def pixels(self) -> tuple[BoolImage, int, int]:
        """Return the smallest part of the image that holds the shape, its left and its top."""
        left, top, width, height = (int(value) for value in coco_mask.toBbox(self.runs))
        part = coco_mask.decode(self.runs)[top : top + height, left : left + width]
        return part.astype(np.bool_), self.left + left, self.top + top


def rasterise(area: Area, size: tuple[int, int], scale: tuple[float, float]) -> Patch:
    """Return the pixels of a shape.

    Args:
        area: the shape.
        size: (H, W) of the mask.
        scale: pixels of the mask for a unit of x and of y.

    Raises:
        OutsideError: coordinates lie far outside the image, or are not numbers.
    """
    match area:
        case Rings():
            return _rings(area, size, scale)
        case Ellipse():
            return _ellipse(area, size, scale)
        case Bitmap():
            return _bitmap(area, size, scale)
        case Runs():
            runs = {"size": list(area.size), "counts": area.counts}
            if area.size == size:
                return Patch(runs)
            pixels, left, top = Patch(runs).pixels()
            own = size[1] / area.size[1], size[0] / area.size[0]
            return _bitmap(Bitmap(pixels, left, top), size, own)


def _rings(area: Rings, size: tuple[int, int], scale: tuple[float, float]) -> Patch:
    outer = [_checked(ring * scale, size) for ring in area.outer]
    holes = [_checked(ring * scale, size) for ring in area.holes]
    # The part from the first pixel on: moving an outline would change how its corners are rounded.
    height, width = _end([*outer, *holes], size)
    draw = _with_border if area.border else _as_coco
    runs = coco_mask.merge([draw(ring, height, width) for ring in outer])
    if holes:
        inside = coco_mask.decode(coco_mask.merge([draw(ring, height, width) for ring in holes]))
        runs = _pack((coco_mask.decode(runs) > 0) & (inside == 0))
    return Patch(runs)


def _checked(points: Points, size: tuple[int, int]) -> Points:
    """Return points if they lie in the image or not far from it: runs grow with coordinates."""
    limit = _FARTHEST * max(size)
    if not (np.abs(points) <= limit).all():  # NaN is not less either
        raise OutsideError
    return points


def _end(rings: list[Points], size: tuple[int, int]) -> tuple[int, int]:
    """Return the row and the column after the last that outlines reach, inside the mask."""
    right, bottom = np.max([ring.max(0) for ring in rings], axis=0)
    return (
        int(min(size[0], max(1, math.floor(bottom) + 2))),
        int(min(size[1], max(1, math.floor(right) + 2))),
    )


def _as_coco(points: Points, height: int, width: int) -> dict[str, Any]:
    runs: dict[str, Any] = coco_mask.frPyObjects([points.ravel().tolist()], height, width)[0]
    return runs


def _with_border(points: Points, height: int, width: int) -> dict[str, Any]:
    canvas = Image.new("L", (width, height))
    ImageDraw.Draw(canvas).polygon([(x, y) for x, y in points.tolist()], fill=1, outline=1)
    return _pack(np.asarray(canvas) > 0)


def _pack(pixels: BoolImage) -> dict[str, Any]:
    runs: dict[str, Any] = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
    return runs


def _ellipse(area: Ellipse, size: tuple[int, int], scale: tuple[float, float]) -> Patch:
    if area.border and not area.turn:
        centre, radii = np.multiply(area.centre, scale), np.multiply(area.radii, scale)
        box = _checked(np.stack([centre - radii, centre + radii]), size)
        height, width = _end([box], size)
        canvas = Image.new("L", (width, height))
        (left, top), (right, bottom) = box.tolist()
        ImageDraw.Draw(canvas).ellipse((left, top, right, bottom), fill=1, outline=1)
        return Patch(_pack(np.asarray(canvas) > 0))
    angles = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
    x, y = area.radii[0] * np.cos(angles), area.radii[1] * np.sin(angles)
    sine, cosine = math.sin(math.radians(area.turn)), math.cos(math.radians(area.turn))
    corners = np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=1) + area.centre
    return _rings(Rings((corners,), border=area.border), size, scale)


def _bitmap(area: Bitmap, size: tuple[int, int], scale: tuple[float, float]) -> Patch:
    """Return a bitmap, cut at the borders of the mask and scaled to the nearest pixel."""
    if scale != (1.0, 1.0):
        area = _scaled(area, scale)
    top, left = max(0, area.top), max(0, area.left)
    pixels = area.pixels[top - area.top :, left - area.left :]
    pixels = pixels[: max(0, size[0] - top), : max(0, size[1] - left)]
    if pixels.size == 0:
        return Patch(_pack(np.zeros((1, 1), np.bool_)))
    return Patch(_pack(pixels), left, top)


def _scaled(area: Bitmap, scale: tuple[float, float]) -> Bitmap:
    rows, top = _sources(area.top, area.pixels.shape[0], scale[1])
    columns, left = _sources(area.left, area.pixels.shape[1], scale[0])
    return replace(area, pixels=area.pixels[np.ix_(rows, columns)], left=left, top=top)


def _sources(start: int, length: int, scale: float) -> tuple[npt.NDArray[np.intp], int]:
    """Return, for each target pixel whose centre lies in the range, its source; and the first."""
    first, last = math.floor(start * scale), math.ceil((start + length) * scale)
    source = np.floor((np.arange(first, last) + 0.5) / scale).astype(np.intp) - start
    inside = (source >= 0) & (source < length)
    return source[inside], first + int(np.argmax(inside)) if inside.any() else first
