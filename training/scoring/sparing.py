"""Prediction with smaller tiles after memory runs out.

One image goes through the network at a time, so there is no batch to halve: an image that was
whole is tiled from then on, as is every image of its size or larger, and tiles are halved down to
`models.inference.tiles.MIN_TILE`. The person is notified of each change, and it holds for the
images that follow.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from maskzoo.models.errors import ZooError
from maskzoo.models.inference.options import DEFAULT_OPTIONS, PredictOptions
from maskzoo.models.inference.tiles import ALIGN, MIN_TILE, TileGrid
from maskzoo.models.memory import is_out_of_memory

if TYPE_CHECKING:
    from maskzoo.models.inference.predictor import Predictor
    from maskzoo.models.inference.segmentation import Segmentation

_log = logging.getLogger(__name__)


@dataclass
class SparingPredictor:
    """Segments images with `predictor`, in smaller parts where memory does not suffice.

    Args:
        predictor: the network to use; one with smaller limits takes its place when memory runs
            out.
        notify: takes a line for the person.

    Attributes:
        spared: images that were segmented in smaller parts than requested.
    """

    predictor: Predictor
    notify: Callable[[str], None] = _log.warning
    spared: int = 0
    _too_large: float = float("inf")  # pixels of the smallest image that failed as a whole

    def segment(self, image: np.ndarray, options: PredictOptions = DEFAULT_OPTIONS) -> Segmentation:
        """Segment one image as `Predictor.segment` does, in smaller parts if need be.

        Raises:
            ZooError: memory does not suffice even for the smallest tile.
        """
        height, width = image.shape[:2]
        while True:
            if height * width >= self._too_large:
                options = replace(options, mode="tiled")
            plan = self.predictor.plan((height, width), options)
            try:
                segmentation = self.predictor.segment(image, options)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                is_small = self.predictor.max_tile is not None and plan.mode == "tiled"
                self.spared += is_small or height * width >= self._too_large
                return segmentation
            # outside the handler, where the traceback no longer holds the tensors
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._ask_for_less((height, width), plan.tiles)

    def _ask_for_less(self, size: tuple[int, int], grid: TileGrid | None) -> None:
        """Lower the limits after an image of `size` failed, whole or in the tiles of `grid`."""
        height, width = size
        what = f"out of memory on an image of {width} x {height}"
        if grid is None:
            self._too_large = height * width
            largest = min(self.predictor.whole_pixels, height * width - 1)
            self.predictor = self.predictor.with_limits(whole_pixels=largest)
            self.notify(
                f"{what}: images of this size and larger are predicted in tiles from now on"
            )
            return
        side = max(grid.rows.max_size, grid.columns.max_size)
        if side <= MIN_TILE:
            raise ZooError(
                f"{what}, even in tiles of {MIN_TILE} x {MIN_TILE}: choose a smaller encoder, or "
                "free memory on the device and continue with --resume"
            )
        smaller = max(MIN_TILE, side // 2 // ALIGN * ALIGN)
        self.predictor = self.predictor.with_limits(max_tile=smaller)
        self.notify(f"{what}: tiles are of {smaller} x {smaller} from now on")
