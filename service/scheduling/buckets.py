"""Buckets: items that can share a batch, by model, input size and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.service.bundles.entries import Segmenter
from maskzoo.service.scheduling.workers import Workers

Outcome = tuple[Segmentation | None, np.ndarray | None] | np.ndarray


@dataclass(frozen=True)
class Bucket:
    """Images of equal buckets may run together."""

    predictor: Segmenter
    input_size: tuple[int, int]
    mode: str
    confidence: bool
    max_side: int | None = None
    tta: str = "none"
    probabilities: bool = False


@dataclass(frozen=True)
class TileBucket:
    """Tiles of equal buckets may run together."""

    predictor: Segmenter
    size: tuple[int, int]
    tta: str

    def run(self, tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return float32 logits (K, h, w) of each uint8 (h, w, 3) tile."""
        return self.predictor.logits_many(tiles, tta=self.tta)


async def run_batch(
    workers: Workers, bucket: Bucket | TileBucket, images: Sequence[np.ndarray]
) -> Sequence[Outcome]:
    """Run one batch in a thread of the networks; return segmentations, probabilities or logits."""
    if isinstance(bucket, TileBucket):
        return await workers.on_network(bucket.run, images)
    if bucket.probabilities:
        return [(None, await workers.on_network(_probabilities, bucket, image)) for image in images]
    found = await workers.on_network(
        bucket.predictor.segment_many,
        images,
        mode=bucket.mode,
        confidence=bucket.confidence,
        max_side=bucket.max_side,
        tta=bucket.tta,
    )
    return [(one, None) for one in found]


def _probabilities(bucket: Bucket, image: np.ndarray) -> np.ndarray:
    """Return the softmax of all classes, float32 (K, H, W)."""
    logits = bucket.predictor.logits(
        image, mode=bucket.mode, max_side=bucket.max_side, tta=bucket.tta
    )
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    return logits
