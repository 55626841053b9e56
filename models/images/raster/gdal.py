"""GDAL's private TIFF tags: the value that marks missing samples, and the names of bands.

GDAL writes both as text: GDAL_NODATA (tag 42113) holds a number, GDAL_METADATA (tag 42112) XML.
https://gdal.org/en/stable/drivers/raster/gtiff.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import tifffile

_METADATA, _NO_DATA = 42112, 42113
_ITEM = re.compile(r"<Item\b([^>]*)>([^<]{1,200})</Item>")
_BAND = re.compile(r"\bsample=\"(\d{1,4})\"")
_MAX_TEXT = 100_000
_HUGE = 1e37


def read_no_data(page: tifffile.TiffPage) -> float | None:
    """Return the value of samples that are missing; NaN if it is that, None if none is named."""
    text = _text(page, _NO_DATA)
    try:
        return float(text) if text else None
    except ValueError:
        return None


def read_band_names(page: tifffile.TiffPage) -> dict[int, str]:
    """Return the descriptions of bands, by the number of the band from 0."""
    names: dict[int, str] = {}
    for attributes, text in _ITEM.findall(_text(page, _METADATA)):
        band = _BAND.search(attributes)
        if band is not None and 'role="description"' in attributes:
            names[int(band[1])] = text.strip()
    return names


def missing(samples: np.ndarray, no_data: float | None) -> npt.NDArray[np.bool_] | None:
    """Return where samples are missing, in the shape of `samples`; None where none is.

    The lowest float, -3.4e38, is often written with fewer digits than it has: no data reaches the
    order of such a value.
    """
    if no_data is None:
        return None
    if samples.dtype.kind == "f":
        if np.isnan(no_data):
            found = np.isnan(samples)
        elif abs(no_data) > _HUGE:
            found = samples < -_HUGE if no_data < 0 else samples > _HUGE
        else:
            found = samples == samples.dtype.type(no_data)
    elif not np.isfinite(no_data) or no_data != int(no_data):
        return None
    else:
        found = samples == int(no_data)
    return found if found.any() else None


def _text(page: tifffile.TiffPage, code: int) -> str:
    value = page.tags.valueof(code, "")
    return value.strip("\0 \n")[:_MAX_TEXT] if isinstance(value, str) else ""
