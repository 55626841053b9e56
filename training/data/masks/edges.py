"""Where white, grey and black lie in a mask: along the edges of objects, as void does, or anywhere.

Tools leave void as contours between objects, and at the margins of images that were turned or cut.
Along a row or a column such a run of pixels lies between two different codes, or ends at the edge
of the image. The runs of a line on the road, or of a small object, have one code on both sides.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.rawmask import RawMask

WHITES = (1, 255, 65535)  # what programs write for the foreground of a binary mask
VOIDS = (255, 65535)  # the usual "not labelled" of 8-bit and of 16-bit ids


def is_neutral(colour: int) -> bool:
    """Tell whether a packed colour is black, grey or white."""
    red, green, blue = unpack_colour(colour)
    return red == green == blue


def edge_runs(raw: RawMask, codes: Collection[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Return the runs along rows and columns of each code that may be void, and those at edges.

    Args:
        raw: the mask.
        codes: the codes that it holds. Two values are a binary mask, in which nothing is void.
    """
    asked = _neutral_codes(raw, codes)
    every, at_edges = dict.fromkeys(asked, 0), dict.fromkeys(asked, 0)
    if not asked or (raw.kind == "values" and raw.palette is None and len(codes) < 3):
        return {}, {}
    for lines in (raw.codes, raw.codes.T):
        values, is_edge = _runs(np.ascontiguousarray(lines))
        for code in asked:
            own = values == code
            every[code] += int(own.sum())
            at_edges[code] += int((own & is_edge).sum())
    return every, at_edges


def _neutral_codes(raw: RawMask, codes: Collection[int]) -> list[int]:
    if raw.kind == "colours":
        return [code for code in codes if is_neutral(code)]
    palette = raw.palette or {}
    return [
        code
        for code in codes
        if code in VOIDS or code < 0 or (code in palette and is_neutral(palette[code]))
    ]


def _runs(
    lines: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]:
    """Return the code of each run along the lines (H, W), and whether it lies at an edge."""
    height, width = lines.shape
    is_start = np.ones(lines.shape, np.bool_)
    is_start[:, 1:] = lines[:, 1:] != lines[:, :-1]
    starts = np.flatnonzero(is_start)
    values = lines.ravel()[starts]
    row, column = np.divmod(starts, width)
    first = column == 0
    last = np.append(first[1:], True)
    outside = first | last | (row == 0) | (row == height - 1)
    parts = np.ones(len(values), np.bool_)
    parts[1:-1] = values[:-2] != values[2:]
    return values, outside | parts
