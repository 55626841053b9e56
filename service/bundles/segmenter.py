"""The contract between the service and a predictor: real ones and those of tests keep it.

The types of the core are imported for the checker only: a module that depends on the contract does
not import the predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from maskzoo.models.images.rows import PixelRows
    from maskzoo.models.inference.options import PredictOptions
    from maskzoo.models.inference.resize import InputPlan
    from maskzoo.models.inference.segmentation import Segmentation
    from maskzoo.models.inference.tiled import LabelStrip, OnTile, RunTiles


class Segmenter(Protocol):
    """A predictor, as far as the service uses it."""

    def plan(self, size: tuple[int, int], options: PredictOptions) -> InputPlan:
        """Decide how an image of that (height, width) reaches the network."""

    def run_bytes(self, size: tuple[int, int]) -> int:
        """Return the estimated memory of one run on an input of that (height, width)."""

    def segment_batch(
        self,
        images: Sequence[np.ndarray],
        options: PredictOptions,
        *,
        plans: Sequence[InputPlan] | None = None,
    ) -> list[Segmentation]:
        """Segment uint8 (H, W, C) images of one input size; called from several threads."""

    def segment_rows(
        self,
        rows: PixelRows,
        options: PredictOptions,
        *,
        on_tile: OnTile = lambda done, total: None,
        run_tiles: RunTiles | None = None,
    ) -> Iterator[LabelStrip]:
        """Yield the label map of a huge image, a few rows at a time."""

    def logits(self, images: Sequence[np.ndarray], options: PredictOptions) -> list[np.ndarray]:
        """Return float32 (K, H, W) for each of some images of one size."""


LoadModel = Callable[[Path], Segmenter]
"""Opens the bundle in a folder; called in a thread."""
