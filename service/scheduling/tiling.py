"""Tiles of huge images on their way to the network: through the batcher, like everyone else.

A thread walks over the image (`models.inference.tiled`) and blends; each tile waits for its turn
in the same queue as whole images, so a huge image and many small ones share the network tile by
tile, tiles of several images run together, and nobody waits for more than one batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable
from concurrent.futures import CancelledError, Future
from threading import Event
from typing import Any

import numpy as np

from models.inference.segmentation import Segmentation
from models.inference.tiled import ArrayRows
from service.bundles.entries import LoadedModel
from service.errors import StoppedError
from service.scheduling.batcher import Batcher
from service.scheduling.buckets import TileBucket


def segment_tiled(
    model: LoadedModel, pixels: np.ndarray, tiles: TileRunner, *, confidence: bool
) -> Segmentation:
    """Segment an upright uint8 (H, W, 3) image by tiles; runs in a thread of its own."""
    begun = time.perf_counter()
    found = list(
        model.predictor.segment_strips(ArrayRows(pixels), confidence=confidence, run_tile=tiles)
    )
    labels = np.concatenate([strip.labels for strip in found])
    shares = [strip.confidence for strip in found if strip.confidence is not None]
    timings = {"network": time.perf_counter() - begun}
    joined = np.concatenate(shares) if shares else None
    return Segmentation(labels, joined, model.labels, "tiled", timings)


class TileRunner:
    """Runs tiles for a thread that is not the event loop's.

    Args:
        loop: the batcher's.
        deadline: by the batcher's clock; None for no end.
    """

    def __init__(
        self,
        batcher: Batcher,
        loop: asyncio.AbstractEventLoop,
        model: LoadedModel,
        *,
        tta: str = "none",
        deadline: float | None = None,
    ) -> None:
        self._batcher = batcher
        self._loop = loop
        self._model = model
        self._tta = tta
        self._deadline = deadline
        self._stopped = Event()
        self._waiting: Future[tuple[Any, float]] | None = None

    def __call__(self, tile: np.ndarray) -> np.ndarray:
        """Return the logits of one tile once its turn has come; raises what `submit` raises."""
        size = (tile.shape[0], tile.shape[1])
        bucket = TileBucket(self._model.predictor, size, self._tta)
        logits: np.ndarray = self.submit(bucket, tile, pixels=size[0] * size[1])
        return logits

    def submit(self, bucket: Hashable, work: Any, *, pixels: int) -> Any:
        """Return what the batcher makes of `work`; waits for it.

        Raises:
            StoppedError: `stop` was called, or the service ends.
            DeadlineError: it is too late.
        """
        if self._stopped.is_set():
            raise StoppedError("the work was stopped")
        self._waiting = asyncio.run_coroutine_threadsafe(
            self._batcher.submit(
                *(bucket, work),
                pixels=pixels,
                deadline=self._deadline,
                network=self._model.manifest.weights_sha256,
            ),
            self._loop,
        )
        try:
            result, _ = self._waiting.result()
        except CancelledError:
            raise StoppedError("the work was stopped") from None
        return result

    def stop(self) -> None:
        """End the work at the next tile; called from the loop."""
        self._stopped.set()
        if self._waiting is not None:
            self._waiting.cancel()
