"""Access of images to the networks: whole or tile by tile, through the batcher that all share.

A huge image is walked over in a thread (`models.inference.tiled`), which blends; each of its tiles
waits for its turn in the same queue as whole images. So a huge image and many small ones share the
network, tiles of several images run together, and nobody waits for more than one batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np

from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.resize import InputPlan
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.bundles.segmenter import Segmenter
from maskzoo.service.errors import StoppedError
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.cost import TILES_AHEAD, tiles_ahead
from maskzoo.service.scheduling.workers import Workers

PlannedImage = tuple[np.ndarray, InputPlan]
"""An upright uint8 (H, W, 3) image, and how it reaches the network."""


@dataclass(frozen=True)
class Bucket:
    """Images of equal buckets may run together.

    Args:
        input_size: (height, width) at which the network sees them.
        model: its name, for metrics only.
    """

    predictor: Segmenter
    input_size: tuple[int, int]
    options: PredictOptions
    model: str = field(default="", compare=False)

    def run(self, images: Sequence[PlannedImage]) -> list[Segmentation]:
        """Segment the images in one batch."""
        pixels, plans = [image for image, _ in images], [plan for _, plan in images]
        return self.predictor.segment_batch(pixels, self.options, plans=plans)


@dataclass(frozen=True)
class TileBucket:
    """Tiles of equal buckets may run together.

    Args:
        options: of mode ``whole``.
        model: its name, for metrics only.
    """

    predictor: Segmenter
    size: tuple[int, int]
    options: PredictOptions
    model: str = field(default="", compare=False)

    def run(self, tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return float32 logits (K, h, w) of each uint8 (h, w, 3) tile."""
        return self.predictor.logits(tiles, self.options)


async def run_batch(
    workers: Workers, bucket: Bucket | TileBucket, items: Sequence[Any]
) -> Sequence[Segmentation] | Sequence[np.ndarray]:
    """Run one batch in a thread of the networks; return what `run` of its bucket returns."""
    run: Callable[[Sequence[Any]], Sequence[Any]] = bucket.run
    return await workers.on_network(run, items)


class NetworkAccess:
    """The access of one image to its network.

    Args:
        loop: the batcher's.
        options: how the image is predicted; each of its tiles is seen whole.
        deadline: by the batcher's clock; None for no end.
        ahead: tiles that are sent before the first of them is back, where memory for their logits
            allows: the network has work while the thread blends, and may take them as one batch.
    """

    def __init__(
        self,
        batcher: Batcher,
        loop: asyncio.AbstractEventLoop,
        model: LoadedModel,
        options: PredictOptions,
        *,
        deadline: float | None = None,
        ahead: int = TILES_AHEAD,
    ) -> None:
        self._batcher = batcher
        self._loop = loop
        self._model = model
        self._options = options
        self._deadline = deadline
        self._ahead = ahead
        self._stopped = Event()
        self._waiting: deque[Future[tuple[np.ndarray, float]]] = deque()
        self._running: asyncio.Task[tuple[Segmentation, float]] | None = None

    async def segment(self, pixels: np.ndarray, plan: InputPlan) -> tuple[Segmentation, float]:
        """Segment a whole image; return the seconds that it waited too. Called in the loop.

        Raises:
            StoppedError: `stop` was called, or the service ends.
            DeadlineError: it is too late.
        """
        bucket = Bucket(self._model.predictor, plan.padded, self._options, self._model.name)
        submitting = self._submit(bucket, (pixels, plan), plan.padded)
        self._running = asyncio.ensure_future(submitting)
        try:
            return await self._running
        except asyncio.CancelledError:
            if self._stopped.is_set():
                raise StoppedError("the work was stopped") from None
            raise

    def run_tiles(self, tiles: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the logits of each tile, in order; called in a thread of its own.

        Raises:
            StoppedError: `stop` was called, or the service ends.
            DeadlineError: it is too late.
        """
        options = PredictOptions(mode="whole", tta=self._options.tta)
        model, num_classes = self._model, self._model.labels.num_classes
        try:
            for tile in tiles:
                size = (tile.shape[0], tile.shape[1])
                bucket = TileBucket(model.predictor, size, options, model.name)
                sending = self._submit(bucket, tile, size)
                self._waiting.append(asyncio.run_coroutine_threadsafe(sending, self._loop))
                if len(self._waiting) >= tiles_ahead(size, num_classes, most=self._ahead):
                    yield self._receive()
            while self._waiting:
                yield self._receive()
        finally:
            self._forget()

    def stop(self) -> None:
        """End the work at the next tile; called in the loop."""
        self._stopped.set()
        self._forget()
        if self._running is not None:
            self._running.cancel()

    async def _submit(
        self, bucket: Hashable, work: Any, size: tuple[int, int]
    ) -> tuple[Any, float]:
        if self._stopped.is_set():
            raise StoppedError("the work was stopped")
        return await self._batcher.submit(
            bucket,
            work,
            pixels=size[0] * size[1],
            deadline=self._deadline,
            network=self._model.manifest.weights_sha256,
        )

    def _receive(self) -> np.ndarray:
        """Wait for the logits of the tile that was sent first."""
        try:
            logits, _ = self._waiting[0].result()
        except CancelledError:
            raise StoppedError("the work was stopped") from None
        finally:
            self._waiting.popleft()
        return logits

    def _forget(self) -> None:
        """Cancel what was sent, as far as it still waits in the queue."""
        for ticket in list(self._waiting):
            ticket.cancel()
