"""Masks of stripes and noise, for the tests of detection."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
from PIL import Image

from maskzoo.training.data.masks.census import Census

COLOURS = {"red": (200, 10, 10), "green": (10, 200, 10), "blue": (10, 10, 200)}


def table(result):
    return dict(result.encoding.table)


def rgb(*names, size=(24, 32)):
    stripes = np.array([COLOURS[name] for name in names], np.uint8)
    return np.tile(np.repeat(stripes, size[1] // len(names), axis=0), (size[0], 1, 1))


def as_jpeg(pixels, quality=75):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def census_of(
    kind: str,
    pixels: Mapping[int, int],
    *,
    solid: Collection[int],
    files: Mapping[int, int] | None = None,
    num_files: int = 2,
    num_lossy: int = 0,
) -> Census:
    """Return counts by hand; the codes in `solid` fill areas, and no code lies along edges."""
    return Census(
        kind,
        Counter(pixels),
        Counter({code: pixels[code] for code in solid}),
        Counter(dict.fromkeys(pixels, num_files) | dict(files or {})),
        {},
        kind,
        num_files=num_files,
        num_lossy=num_lossy,
        no_data=frozenset(),
        runs=Counter(),
        edge_runs=Counter(),
        sets=Counter(),
    )
