"""Polygons of label maps, exact along the edges of the pixels.

Method: the mask is doubled in size, OpenCV follows its borders, and each border coordinate v goes
to the pixel edge (v + 1) // 2. The diagonal steps that OpenCV takes round inner corners become
straight, so the area inside the rings is the number of pixels.
Coordinates: x to the right, y down, (0, 0) the upper left corner of the upper left pixel.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from service.responses.runs import LabelRuns

Ring = np.ndarray
"""Corners (P, 2) of a closed line, int32 or float; the first is not repeated."""


def find_polygons(runs: LabelRuns, label: int, *, simplify: float = 0) -> list[list[Ring]]:
    """Return the polygons of one label: each an outer ring and its holes.

    Args:
        simplify: how far, in pixels, a simplified line may be from the exact one.
    """
    box = runs.box(label)
    if box is None:
        return []
    x, y, width, height = box
    mask = (runs.labels[y : y + height, x : x + width] == label).astype(np.uint8)
    mask = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    mask = mask.repeat(2, axis=0).repeat(2, axis=1)
    lines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [_ring(line, x - 1, y - 1, simplify) for line in lines]
    polygons = []
    for outer, (_, _, first_hole, parent) in zip(rings, tree[0], strict=True):
        if parent >= 0 or outer is None:
            continue
        holes = [rings[index] for index in _siblings(tree[0], first_hole)]
        polygon = [_turned(outer, clockwise=False)]
        polygon += [_turned(hole, clockwise=True) for hole in holes if hole is not None]
        polygons.append(polygon)
    return polygons


def signed_area(ring: Ring) -> float:
    """Return the area by the shoelace formula; positive from x towards y."""
    x, y = ring[:, 0].astype(np.float64), ring[:, 1].astype(np.float64)
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def encode_coordinates(polygons: list[list[Ring]]) -> list[list[list[list[float]]]]:
    """Return GeoJSON's coordinates of a MultiPolygon: each ring closed, outer ones positive."""
    return [[[*ring.tolist(), ring[0].tolist()] for ring in polygon] for polygon in polygons]


def _siblings(tree: np.ndarray, index: int) -> Iterator[int]:
    """Follow OpenCV's chain of borders of one level, from `index` on."""
    while index >= 0:
        yield index
        index = tree[index][0]


def _ring(line: np.ndarray, x: int, y: int, simplify: float) -> Ring | None:
    """Return the corners of one border, or None if simplifying left nothing."""
    points = (line[:, 0] + 1) // 2
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    straight = (before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]) & (
        (before * after).sum(axis=1) > 0
    )
    points = points[~straight]
    if simplify > 0:
        points = cv2.approxPolyDP(points[:, None].astype(np.int32), simplify, True)[:, 0]
    return points + np.array([x, y]) if len(points) >= 3 else None


def _turned(ring: Ring, *, clockwise: bool) -> Ring:
    return ring[::-1] if (signed_area(ring) < 0) != clockwise else ring
