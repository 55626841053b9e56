"""Label maps of huge images: tile by tile, strip by strip, in bounded memory.

    rows of pixels -> tiles -> network -> weighted sum of logits -> largest -> strip of labels

A strip is the rows that one row of tiles finishes: it is as wide as the image, and as high as a
tile less its overlap. In memory at one time are the pixels of one row of tiles, the weighted logits
of one tile, and the logits that the next row still adds to: classes x (overlap of the rows) x width
float32 values. For 19 classes, tiles of 512, an overlap of a quarter and a width of 10 000 pixels,
these are 97 MB.

Logits, not probabilities, are added up, as in mmsegmentation's sliding window; the weights are
those of `models.inference.tiles`. Letters: K classes, H W the image, h w a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from maskzoo.models.images.rows import PixelRows
from maskzoo.models.inference.postprocess import id_type, to_label_map
from maskzoo.models.inference.tiles import TileGrid

RunTiles = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]
"""uint8 (h, w, 3) RGB tiles, or of bands -> float32 logits (K, h, w) of each, in order.

It may take several tiles before it returns the logits of the first, and run them together. A
function of one tile becomes one by `functools.partial(map, function)`.
"""

OnTile = Callable[[int, int], None]
"""Told the tiles done and their number, before each tile and after the last; may raise to stop."""


@dataclass(frozen=True)
class LabelStrip:
    """Finished rows of a label map.

    Args:
        top: the first of the rows.
        label_map: class ids, uint8 (rows, W), or uint16 for more than 256 classes.
        confidence: softmax of the chosen class, float16 (rows, W); None if not requested.
    """

    top: int
    label_map: np.ndarray
    confidence: np.ndarray | None


Block = tuple[int, np.ndarray]
"""The first column of finished logits, and these: (K, rows, columns)."""


@dataclass(frozen=True)
class TileWalk:
    """A walk over the tiles of one image, row by row from top to bottom.

    Args:
        rows: the pixels.
        grid: the tiles, laid for the image's size.
        run_tiles: the network.
        num_classes: K.
        on_tile: called with the tiles done and their number; an exception ends the walk.
    """

    rows: PixelRows
    grid: TileGrid
    run_tiles: RunTiles
    num_classes: int
    on_tile: OnTile = lambda done, total: None

    def strips(self, *, confidence: bool = True) -> Iterator[LabelStrip]:
        """Yield the strips of the image from top to bottom; together they are its label map.

        Args:
            confidence: whether to compute it.
        """
        for top, bottom, blocks in self._rows_of_blocks():
            label_map = np.empty((bottom - top, self.rows.width), id_type(self.num_classes))
            probability = np.empty(label_map.shape, np.float16) if confidence else None
            for left, logits in blocks:
                size = logits.shape[1], logits.shape[2]
                columns = slice(left, left + size[1])
                label_map[:, columns], part = to_label_map(
                    torch.from_numpy(logits), size, size, confidence=confidence
                )
                if probability is not None:
                    probability[:, columns] = part
            yield LabelStrip(top, label_map, probability)

    def logits(self) -> np.ndarray:
        """Return the blended float32 logits (K, H, W) of the whole image, all in memory."""
        logits = np.empty((self.num_classes, self.rows.height, self.rows.width), np.float32)
        for top, bottom, blocks in self._rows_of_blocks():
            for left, block in blocks:
                logits[:, top:bottom, left : left + block.shape[2]] = block
        return logits

    def _rows_of_blocks(self) -> Iterator[tuple[int, int, Iterator[Block]]]:
        """Yield for each row of tiles: first and last row that it finishes, and their blocks."""
        grid, blender = self.grid, _Blender(self.grid, self.num_classes)
        pixels: np.ndarray | None = None
        read_to = 0
        for row, (top, bottom) in enumerate(zip(grid.rows.starts, grid.rows.stops, strict=True)):
            # Rows that this row of tiles shares with the one before are not read again.
            fresh = self.rows.read(read_to, bottom)
            if pixels is not None:
                fresh = np.concatenate([pixels[len(pixels) - (read_to - top) :], fresh])
            pixels = fresh
            read_to = bottom
            blocks = blender.add_row(row, self.run_tiles(self._tiles(pixels, row)))
            yield top, grid.rows.next_start(row), blocks
        self.on_tile(grid.num_tiles, grid.num_tiles)

    def _tiles(self, pixels: np.ndarray, row: int) -> Iterator[np.ndarray]:
        """Cut a row of tiles, uint8 (h, W, C), from left to right."""
        columns = self.grid.columns
        spans = zip(columns.starts, columns.stops, strict=True)
        for done, (left, right) in enumerate(spans, start=row * len(columns)):
            self.on_tile(done, self.grid.num_tiles)
            yield np.ascontiguousarray(pixels[:, left:right])


def write_strips(
    strips: Iterable[LabelStrip], label_map: np.ndarray, confidence: np.ndarray | None
) -> None:
    """Write the strips of an image into arrays (H, W) of its size, in memory or mapped from a file.

    Args:
        confidence: None where it is not wanted.
    """
    for strip in strips:
        rows = slice(strip.top, strip.top + len(strip.label_map))
        label_map[rows] = strip.label_map
        if confidence is not None:
            confidence[rows] = strip.confidence


class _Blender:
    """Adds up weighted logits; keeps only what later tiles add to."""

    def __init__(self, grid: TileGrid, num_classes: int) -> None:
        self._grid = grid
        self._row_weights = grid.rows.weights()
        self._column_weights = grid.columns.weights()
        self._window_size = (num_classes, grid.rows.max_size, grid.columns.max_size)
        self._carried = np.zeros(
            (num_classes, grid.rows.max_shared, grid.columns.length), np.float32
        )
        self._num_carried = 0  # its rows that hold values

    def add_row(self, row: int, tiles: Iterable[np.ndarray]) -> Iterator[Block]:
        """Take the logits of one row of tiles from left to right; yield what they finish."""
        rows, columns = self._grid.rows, self._grid.columns
        height = rows.stops[row] - rows.starts[row]
        num_done = rows.next_start(row) - rows.starts[row]
        window = np.zeros(self._window_size, np.float32)[:, :height]
        for column, logits in enumerate(tiles):
            weight = self._row_weights[row][:, None] * self._column_weights[column]
            window[:, :, : logits.shape[2]] += logits * weight
            left, right = columns.starts[column], columns.next_start(column)
            part = window[:, :, : right - left]
            part[:, : self._num_carried] += self._carried[:, : self._num_carried, left:right]
            self._carried[:, : height - num_done, left:right] = part[:, num_done:]
            yield left, part[:, :num_done]
            window = np.concatenate([window[:, :, right - left :], np.zeros_like(part)], axis=2)
        self._num_carried = height - num_done
