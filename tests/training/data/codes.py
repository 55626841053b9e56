"""Masks of stripes and noise, for the tests of detection."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

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
