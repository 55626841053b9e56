"""Tiles of huge images, run through the batcher like any other image.

A thread walks over the image (`models.inference.tiled`) and blends; each tile waits for its turn
in the same queue as whole images, so a huge image and many small ones share the network tile by
tile, tiles of several images run together, and nobody waits for more than one batch.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from threading import Event
from typing import Any

import numpy as np

from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.inference.tiled import ArrayRows, join_strips
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.errors import StoppedError
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.buckets import TileBucket

_MAX_LOGITS_BYTES = 2**28
_Ticket = Future[tuple[Any, float]]


def segment_tiled(
    model: LoadedModel, pixels: np.ndarray, options: PredictOptions, tiles: TileRunner
) -> Segmentation:
    """Segment an upright uint8 (H, W, 3) image by tiles; runs in a thread of its own."""
    begun = time.perf_counter()
    strips = list(model.predictor.segment_rows(ArrayRows(pixels), options, run_tiles=tiles))
    label_map, confidence = join_strips(strips)
    timings = {"network": time.perf_counter() - begun}
    return Segmentation(label_map, confidence, model.labels, "tiled", timings)


class TileRunner:
    """Runs tiles for a thread that is not the event loop's.

    Some tiles are sent ahead, so that the network has work while the thread blends, and may take
    them as one batch.

    Args:
        loop: the batcher's.
        options: of the image; each tile is seen whole.
        deadline: by the batcher's clock; None for no end.
        ahead: tiles on their way at one time, where memory for their logits allows.
    """

    def __init__(
        self,
        batcher: Batcher,
        loop: asyncio.AbstractEventLoop,
        model: LoadedModel,
        options: PredictOptions,
        *,
        deadline: float | None = None,
        ahead: int = 4,
    ) -> None:
        self._batcher = batcher
        self._loop = loop
        self._model = model
        self._options = PredictOptions(mode="whole", tta=options.tta)
        self._deadline = deadline
        self._ahead = ahead
        self._stopped = Event()
        self._waiting: deque[_Ticket] = deque()

    def __call__(self, tiles: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the logits of each tile, in order; raises what `submit` raises."""
        try:
            for tile in tiles:
                size = (tile.shape[0], tile.shape[1])
                bucket = TileBucket(self._model.predictor, size, self._options)
                self._send(bucket, tile, pixels=size[0] * size[1])
                if len(self._waiting) >= self._most(size):
                    yield self._receive()
            while self._waiting:
                yield self._receive()
        finally:
            self._forget()

    def submit(self, bucket: Hashable, work: Any, *, pixels: int) -> Any:
        """Return what the batcher makes of `work`; waits for it.

        Raises:
            StoppedError: `stop` was called, or the service ends.
            DeadlineError: it is too late.
        """
        self._send(bucket, work, pixels=pixels)
        return self._receive()

    def stop(self) -> None:
        """End the work at the next tile; called from the loop."""
        self._stopped.set()
        self._forget()

    def _most(self, size: tuple[int, int]) -> int:
        """Return how many tiles may be on their way."""
        logits_bytes = 4 * size[0] * size[1] * self._model.labels.num_classes
        return max(1, min(self._ahead, _MAX_LOGITS_BYTES // logits_bytes))

    def _send(self, bucket: Hashable, work: Any, *, pixels: int) -> None:
        if self._stopped.is_set():
            raise StoppedError("the work was stopped")
        sending = self._batcher.submit(
            *(bucket, work),
            pixels=pixels,
            deadline=self._deadline,
            network=self._model.manifest.weights_sha256,
        )
        self._waiting.append(asyncio.run_coroutine_threadsafe(sending, self._loop))

    def _receive(self) -> Any:
        """Wait for what was sent first."""
        try:
            result, _ = self._waiting[0].result()
        except CancelledError:
            raise StoppedError("the work was stopped") from None
        finally:
            self._waiting.popleft()
        return result

    def _forget(self) -> None:
        """Take what was sent out of the queue again, as far as it waits there."""
        for ticket in list(self._waiting):
            ticket.cancel()
