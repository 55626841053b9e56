"""Buckets: items that can share a batch, by model, input size and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.resize import InputPlan
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.service.bundles.segmenter import Segmenter
from maskzoo.service.scheduling.workers import Workers

PlannedImage = tuple[np.ndarray, InputPlan]
"""An upright uint8 (H, W, 3) image, and how it reaches the network."""


@dataclass(frozen=True)
class Bucket:
    """Images of equal buckets may run together.

    Args:
        input_size: (height, width) at which the network sees them.
    """

    predictor: Segmenter
    input_size: tuple[int, int]
    options: PredictOptions

    def run(self, images: Sequence[PlannedImage]) -> list[Segmentation]:
        """Segment the images in one batch."""
        pixels, plans = [image for image, _ in images], [plan for _, plan in images]
        return self.predictor.segment_batch(pixels, self.options, plans=plans)


@dataclass(frozen=True)
class TileBucket:
    """Tiles of equal buckets may run together.

    Args:
        options: of mode ``whole``.
    """

    predictor: Segmenter
    size: tuple[int, int]
    options: PredictOptions

    def run(self, tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return float32 logits (K, h, w) of each uint8 (h, w, 3) tile."""
        return self.predictor.logits(tiles, self.options)


async def run_batch(
    workers: Workers, bucket: Bucket | TileBucket, items: Sequence[Any]
) -> Sequence[Segmentation] | Sequence[np.ndarray]:
    """Run one batch in a thread of the networks; return what `run` of its bucket returns."""
    run: Callable[[Sequence[Any]], Sequence[Any]] = bucket.run
    return await workers.on_network(run, items)
