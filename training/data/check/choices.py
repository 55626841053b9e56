"""A picture of the readings of a folder, for a person to choose from: a sample of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from maskzoo.models.errors import ZooError
from maskzoo.models.images.decode import decode_image
from maskzoo.models.labels import distinct_colours
from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.readings.choice import Choice
from maskzoo.training.data.records.readings.index import FileIndex
from maskzoo.training.data.records.samples import Pair

_SAMPLES = 3  # of a reading
_MOST_COLOURS = 64
_THUMBNAIL = 360  # pixels of the longer side

Pixels = npt.NDArray[np.uint8]


def draw_choices(readings: Sequence[FileIndex], choices: Sequence[Choice], path: Path) -> Path:
    """Draw samples of each reading, the image beside its mask, into a PNG; return its path.

    Args:
        readings: the readings.
        choices: how they are shown, in the same order.
        path: the PNG.
    """
    figure = Figure(figsize=(5 * _SAMPLES, 2.8 * len(readings)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(readings), _SAMPLES, squeeze=False)
    for axes, reading, choice in zip(rows, readings, choices, strict=True):
        for place, (cell, pair) in enumerate(zip(axes, _samples(reading), strict=False)):
            title = f"--masks {choice.name}: {choice.num_images} images" if place == 0 else ""
            cell.set_title(title, fontsize=9, loc="left")
            try:
                cell.imshow(_side_by_side(reading, pair))
            except (ZooError, OSError) as error:
                cell.text(0.5, 0.5, f"unreadable:\n{str(error)[:80]}", ha="center", va="center")
        for cell in axes:
            cell.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, format="png")
    return path


def _samples(reading: FileIndex) -> Sequence[Pair]:
    step = max(1, len(reading.pairs) // _SAMPLES)
    return reading.pairs[::step][:_SAMPLES]


def _side_by_side(reading: FileIndex, pair: Pair) -> Pixels:
    """Return an image and, beside it, its mask in colours of its own."""
    decoded = decode_image(pair.image, max_pixels=None)
    size = (decoded.info.height, decoded.info.width)
    raw = MaskReader(reading.annotations).read(
        pair.image, pair.mask, size, decoded.info.orientation
    )
    small = _reduced(decoded.pixels)
    values, places = np.unique(_reduced(raw.codes), return_inverse=True)
    colours = [(0, 0, 0), *distinct_colours(min(len(values), _MOST_COLOURS))]
    table = np.array(colours, np.uint8)  # the lowest value is black
    mask = table[places.reshape(_reduced(raw.codes).shape) % len(table)]
    rows = np.linspace(0, mask.shape[0] - 1, small.shape[0]).astype(int)
    columns = np.linspace(0, mask.shape[1] - 1, small.shape[1]).astype(int)
    gap = np.full((small.shape[0], 4, 3), 255, np.uint8)
    return np.concatenate([small, gap, mask[np.ix_(rows, columns)]], axis=1)


def _reduced(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    step = max(1, max(pixels.shape[:2]) // _THUMBNAIL)
    return pixels[::step, ::step]
