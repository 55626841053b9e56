"""Prediction with smaller tiles after memory runs out.

One image goes through the network at a time, so there is no batch to halve: an image that was
whole is tiled from then on, as is every image of its size or larger, and tiles are halved down to
`models.inference.tiles.MIN_TILE`. Each change is said, and holds for the predictor from then on.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from maskzoo.models.errors import ZooError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.inference.tiles import ALIGN, DEFAULT_OVERLAP, MIN_TILE
from maskzoo.models.memory import is_out_of_memory


@dataclass
class SparingPredictor:
    """Segment images with `predictor`, which is changed where memory does not suffice.

    Args:
        predictor: used by nobody else meanwhile.
        say: takes a line for the person.

    Attributes:
        spared: images that were segmented by smaller parts than asked for.
    """

    predictor: Predictor
    say: Callable[[str], None]
    spared: int = 0
    _too_large: float = float("inf")  # pixels of the smallest image that failed as a whole

    def segment(self, image: np.ndarray, **options: Any) -> Segmentation:
        """Do as `Predictor.segment`, in smaller parts if need be.

        Raises:
            ZooError: memory does not even suffice for the smallest tile.
        """
        height, width = image.shape[:2]
        asked = self._mode(image, options)
        overlap = options.get("overlap", DEFAULT_OVERLAP)
        while True:
            mode = "tiled" if height * width >= self._too_large else asked
            try:
                found = self.predictor.segment(image, **options | {"mode": mode})
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                is_small = self.predictor.max_tile is not None and mode == "tiled"
                self.spared += is_small or height * width >= self._too_large
                return found
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._ask_for_less((height, width), mode, overlap)

    def _mode(self, image: np.ndarray, options: dict[str, Any]) -> str:
        size = (image.shape[0], image.shape[1])
        return self.predictor.chosen_mode(size, mode=options.get("mode", "auto"))

    def _ask_for_less(self, size: tuple[int, int], mode: str, overlap: float) -> None:
        height, width = size
        what = f"out of memory on an image of {width} x {height}"
        if mode != "tiled":
            self._too_large = height * width
            self.predictor.whole_pixels = min(self.predictor.whole_pixels, height * width - 1)
            self.say(f"{what}: images of this size and larger are predicted in tiles from now on")
            return
        grid = self.predictor.tile_grid(size, overlap=overlap)
        side = max(grid.rows.max_size, grid.columns.max_size)
        if side <= MIN_TILE:
            raise ZooError(
                f"{what}, even in tiles of {MIN_TILE} x {MIN_TILE}: choose a smaller encoder, or "
                "free memory on the device and go on with --resume"
            )
        smaller = max(MIN_TILE, side // 2 // ALIGN * ALIGN)
        self.predictor.max_tile = smaller
        self.say(f"{what}: tiles are of {smaller} x {smaller} from now on")
