"""Georeferencing of polygons, for GeoJSON.

RFC 7946: longitude and latitude in WGS 84; outer rings are anticlockwise, holes clockwise.
Shapes: points (P, 2), x first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from maskzoo.service.inputs.georeference import GeoReference, to_lonlat

Outlines = dict[int, list[list[np.ndarray]]]
"""For each class its polygons; of each its rings (P, 2), whose first point is not repeated."""

_DEGREE_DIGITS, _MAP_DIGITS = 9, 4  # a tenth of a millimetre each


def place_outlines(
    outlines: Outlines, reference: GeoReference | None
) -> tuple[Outlines, dict[str, Any]]:
    """Return the georeferenced outlines of each class, and the members that name their system."""
    if reference is None or reference.matrix is None:
        return outlines, {"coordinates": "pixels"}
    rings = [ring for polygons in outlines.values() for polygon in polygons for ring in polygon]
    if not rings:
        return outlines, {"coordinates": "pixels"}
    points = reference.to_map(np.concatenate(rings).astype(np.float64))
    turned = to_lonlat(reference, points)
    if turned is not None:
        system: dict[str, Any] = {"coordinates": "longitude, latitude (WGS 84)"}
        points = turned.round(_DEGREE_DIGITS)
    else:
        system = _name_system(reference)
        points = points.round(_MAP_DIGITS)
    placed = np.split(points, np.cumsum([len(ring) for ring in rings])[:-1])
    if reference.is_mirrored:
        placed = [np.concatenate([ring[:1], ring[:0:-1]]) for ring in placed]
    following = iter(placed)
    return {
        label: [[next(following) for _ in polygon] for polygon in polygons]
        for label, polygons in outlines.items()
    }, system


def _name_system(reference: GeoReference) -> dict[str, Any]:
    """Return members that name another system than WGS 84; `crs` is as in GeoJSON 2008."""
    if reference.epsg is None:
        return {"coordinates": "the image's own system, which has no EPSG number"}
    name = f"urn:ogc:def:crs:EPSG::{reference.epsg}"
    return {
        "coordinates": f"EPSG:{reference.epsg}",
        "crs": {"type": "name", "properties": {"name": name}},
    }
