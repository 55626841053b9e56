"""Georeference of a GeoTIFF: read from its tags, for masks and GeoJSON.

Tags are copied unchanged. They are interpreted as far as GeoJSON needs it: an affine map from
pixels to the coordinates of a system, and the EPSG number of that system. Source: OGC GeoTIFF 1.1,
https://docs.ogc.org/is/19-008r4/19-008r4.html

Positions are corners of pixels: (0, 0) is the upper left corner of the upper left pixel. In a
raster whose points are centres (`RasterPixelIsPoint`), that is half a pixel before its first point.
Shapes: points (P, 2), x first.
"""

from __future__ import annotations

import importlib.util
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

WGS84 = 4326

_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION = 33550, 33922, 34264
_GEO_KEYS, _GEO_DOUBLES, _GEO_TEXT, _NODATA = 34735, 34736, 34737, 42113
_COPIED = (_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION, _GEO_KEYS, _GEO_DOUBLES, _GEO_TEXT)
_RASTER_TYPE, _GEOGRAPHIC, _PROJECTED = 1025, 2048, 3072
_IS_POINT, _USER_DEFINED = 2, 32767
_ORIENTATION = 274

ExtraTag = tuple[int, int, int, Any, bool]
"""Code, type, count, value, and whether it is written once: as tifffile writes them."""


@dataclass(frozen=True)
class GeoReference:
    """The place of one image.

    Args:
        tags: to be copied into a TIFF of the same pixels.
        matrix: float64 (2, 3): column and row of a corner, and 1, to x and y; None where the tags
            give no affine map, as ground control points do not.
        epsg: of the coordinate system; None if it has no number.
    """

    tags: tuple[ExtraTag, ...]
    matrix: np.ndarray | None
    epsg: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        matrix = None if self.matrix is None else [float(value) for value in self.matrix.ravel()]
        return {"epsg": self.epsg, "matrix": matrix}

    @property
    def is_mirrored(self) -> bool:
        """Whether y grows upwards, as on maps, which reverses the direction of rings."""
        return self.matrix is not None and float(np.linalg.det(self.matrix[:, :2])) < 0

    def to_map(self, corners: np.ndarray) -> np.ndarray:
        """Return float64 coordinates in the image's own system for corners of pixels."""
        assert self.matrix is not None, "there is an affine map"
        points: np.ndarray = corners @ self.matrix[:, :2].T + self.matrix[:, 2]
        return points


def read_georeference(source: bytes | Path) -> GeoReference | None:
    """Return the georeference of a TIFF; None without one, or where EXIF orientation applies."""
    import tifffile

    stream = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    try:
        with stream, tifffile.TiffFile(stream, _multifile=False) as file:
            tags = file.pages.first.tags
            if _GEO_KEYS not in tags or tags.valueof(_ORIENTATION, 1) != 1:
                return None
            found = {code: tags[code] for code in _COPIED if code in tags}
            copied = [
                (tag.code, int(tag.dtype), tag.count, tag.value, True) for tag in found.values()
            ]
            values = {code: tag.value for code, tag in found.items()}
            keys = _short_keys(values[_GEO_KEYS])
            matrix = _affine(values, is_point=keys.get(_RASTER_TYPE) == _IS_POINT)
            return GeoReference(tuple(copied), matrix, _epsg(keys))
    except Exception as error:  # tags may hold anything, but the pixels are valid
        logger.warning("event=georeference_unreadable error=%r", error)
        return None


def to_lonlat(reference: GeoReference, points: np.ndarray) -> np.ndarray | None:
    """Return longitudes and latitudes (WGS 84) of map points; None without a transformation."""
    if reference.epsg == WGS84:
        return points
    if reference.epsg is None or importlib.util.find_spec("pyproj") is None:
        return None
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        transformer = Transformer.from_crs(reference.epsg, WGS84, always_xy=True)
        lonlat: np.ndarray = np.stack(transformer.transform(points[:, 0], points[:, 1]), axis=1)
    except ProjError as error:
        logger.warning("event=no_transformation epsg=%d error=%r", reference.epsg, error)
        return None
    return lonlat if np.isfinite(lonlat).all() else None


def _affine(values: Mapping[int, Any], *, is_point: bool) -> np.ndarray | None:
    if _TRANSFORMATION in values:
        whole = np.array(values[_TRANSFORMATION], np.float64).reshape(4, 4)
        matrix = whole[:2, [0, 1, 3]]
    elif _PIXEL_SCALE in values and len(values.get(_TIE_POINTS, ())) == 6:
        across, down = values[_PIXEL_SCALE][:2]
        column, row, _, x, y, _ = values[_TIE_POINTS]
        matrix = np.array([[across, 0, x - column * across], [0, -down, y + row * down]])
    else:
        return None
    if is_point:
        matrix[:, 2] -= matrix[:, :2] @ [0.5, 0.5]
    is_usable = np.isfinite(matrix).all() and np.linalg.det(matrix[:, :2]) != 0
    return matrix if is_usable else None


def _short_keys(directory: Any) -> dict[int, int]:
    """Return the keys whose values are in the directory itself."""
    entries = np.array(directory, np.int64)[4:].reshape(-1, 4)
    return {int(key): int(value) for key, place, _, value in entries if place == 0}


def _epsg(keys: Mapping[int, int]) -> int | None:
    code = keys.get(_PROJECTED, keys.get(_GEOGRAPHIC, _USER_DEFINED))
    return code if 1024 <= code < _USER_DEFINED else None
