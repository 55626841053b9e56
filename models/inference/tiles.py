"""Positions of the tiles of a large image, and their weights in each pixel.

This module is independent of networks: sizes in, boxes and weights out. Sizes are (height, width)
in pixels.

Tiles start at multiples of 32, the deepest stride of an encoder, so that each tile is sampled on
the same grid as the whole image would be. The last one ends where the image ends, and may be up to
31 pixels smaller. A side that is not longer than a tile has one tile of its own length.

The weight of a tile is a Gaussian about its middle (deviation: an eighth of its side, as in
nnU-Net, Isensee et al. 2021, https://doi.org/10.1038/s41592-020-01008-z). What differs: the outer
quarter of each overlap has weight 0, because there the network saw padding where the image
continues. A network whose receptive field stays within this quarter gives the same logits as on the
whole image. The weights of all tiles over a pixel sum to 1. A weight is the product of a factor for
the row and one for the column; each axis is normalised on its own, so no map of weight sums is
needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from maskzoo.models.errors import SpecError

ALIGN = 32
DEFAULT_OVERLAP = 0.25
MIN_TILE = 64
MAX_OVERLAP = 0.75
_SIGMAS_PER_SIDE = 8


@dataclass(frozen=True)
class TileAxis:
    """The tiles along one side of an image.

    Args:
        length: of the side.
        starts, stops: of each tile, in order; neighbours overlap or touch.
        is_even: whether all pixels of a tile weigh the same.
    """

    length: int
    starts: tuple[int, ...]
    stops: tuple[int, ...]
    is_even: bool = False

    def __len__(self) -> int:
        return len(self.starts)

    def next_start(self, index: int) -> int:
        """Return where the tile after `index` starts; the length after the last one."""
        return self.starts[index + 1] if index + 1 < len(self) else self.length

    @property
    def max_size(self) -> int:
        """The length of the longest tile."""
        return max(stop - start for start, stop in zip(self.starts, self.stops, strict=True))

    @property
    def max_shared(self) -> int:
        """The most pixels that two neighbours share."""
        overlaps = [stop - start for stop, start in zip(self.stops, self.starts[1:], strict=False)]
        return max(overlaps, default=0)

    def weights(self) -> list[np.ndarray]:
        """Return for each tile float32 weights of its pixels, which sum to 1 over all tiles."""
        raw = [self._bell(index) for index in range(len(self))]
        total = np.zeros(self.length)
        for values, start, stop in zip(raw, self.starts, self.stops, strict=True):
            total[start:stop] += values
        return [
            (values / total[start:stop]).astype(np.float32)
            for values, start, stop in zip(raw, self.starts, self.stops, strict=True)
        ]

    def _bell(self, index: int) -> np.ndarray:
        start, stop = self.starts[index], self.stops[index]
        size = stop - start
        if self.is_even:
            return np.ones(size)
        distance = np.arange(size) - (size - 1) / 2
        values = np.exp(-0.5 * (distance * _SIGMAS_PER_SIDE / size) ** 2)
        if index > 0:
            values[: (self.stops[index - 1] - start) // 4] = 0
        if index + 1 < len(self):
            values[size - (stop - self.starts[index + 1]) // 4 :] = 0
        return values


@dataclass(frozen=True)
class TileGrid:
    """The tiles of one image: those of its rows by those of its columns."""

    rows: TileAxis
    columns: TileAxis

    @property
    def num_tiles(self) -> int:
        """The number of runs of the network."""
        return len(self.rows) * len(self.columns)


def lay_tiles(
    image: tuple[int, int], tile: tuple[int, int], overlap: float = DEFAULT_OVERLAP
) -> TileGrid:
    """Lay tiles over an image.

    Args:
        image: size of the image.
        tile: size of a tile; rounded up to multiples of 32.
        overlap: the least fraction of a tile that neighbours share.

    Raises:
        SpecError: a tile is too small, or the overlap out of range.
    """
    mistakes = []
    if min(tile) < MIN_TILE:
        mistakes.append(f"tile size is {tile[0]} x {tile[1]}; a side needs {MIN_TILE} or more")
    mistakes += overlap_mistakes(overlap)
    if mistakes:
        raise SpecError("tiled prediction", mistakes)
    rows, columns = (
        _lay_axis(length, side, overlap) for length, side in zip(image, tile, strict=True)
    )
    return TileGrid(rows, columns)


def lay_window(image: tuple[int, int], size: tuple[int, int], stride: tuple[int, int]) -> TileGrid:
    """Lay the crops of a sliding window over an image, as mmsegmentation does.

    Crops start at multiples of the stride; one that would leave the image is moved back to its end.
    Their logits are averaged.

    Args:
        image: size of the image.
        size: of a crop.
        stride: from one crop to the next, at most its size.
    """
    rows, columns = map(_slide_axis, image, size, stride)
    return TileGrid(rows, columns)


def _slide_axis(length: int, size: int, stride: int) -> TileAxis:
    count = max(0, length - size + stride - 1) // stride + 1
    stops = tuple(min(index * stride + size, length) for index in range(count))
    return TileAxis(length, tuple(max(0, stop - size) for stop in stops), stops, is_even=True)


def overlap_mistakes(overlap: float) -> list[str]:
    """Return the mistakes in an overlap: none, or one line."""
    if 0 <= overlap <= MAX_OVERLAP:
        return []
    return [f"overlap is {overlap}; it is a fraction of the tile from 0 to {MAX_OVERLAP}"]


def _lay_axis(length: int, tile: int, overlap: float) -> TileAxis:
    tile = _units(tile) * ALIGN
    if length <= tile:
        return TileAxis(length, (0,), (length,))
    last = _units(length - tile)  # all in units of ALIGN, so that rounding keeps the overlap
    step = max(1, int(tile * (1 - overlap)) // ALIGN)
    count = -(-last // step)
    starts = tuple(ALIGN * (index * last // count) for index in range(count + 1))
    stops = tuple(start + tile for start in starts[:-1])
    assert all(after > before for before, after in pairwise(starts)), "tiles move on"
    return TileAxis(length, starts, (*stops, length))


def _units(length: int) -> int:
    return -(-length // ALIGN)
