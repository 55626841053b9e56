"""The network's part of one image, in this process: from admission to its label map."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.images.rows import OpenedImage, PixelRows
from maskzoo.models.inference.postprocess import id_type
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.inference.tiled import OnTile, write_strips
from maskzoo.service.answering.order import ImagePlan, Order
from maskzoo.service.answering.segment import InThread, OpenImage
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.responses.timings import Timings
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.network import NetworkAccess
from maskzoo.service.scheduling.workers import Workers


class Arrays(Protocol):
    """Storage of the arrays of one image."""

    def array(self, name: str, shape: tuple[int, int], dtype: type) -> np.ndarray:
        """Return an uninitialised array."""
        ...

    def release(self, array: np.ndarray) -> None:
        """Release memory that a finished array need not hold."""


class MemoryArrays:
    """Arrays in memory."""

    def array(self, name: str, shape: tuple[int, int], dtype: type) -> np.ndarray:
        """Return an uninitialised array."""
        return np.empty(shape, dtype)

    def release(self, array: np.ndarray) -> None:
        """Keep it."""


@dataclass(frozen=True)
class LocalNetwork:
    """The network's part of the work on one image, as `service.answering.segment.NetworkPart`.

    Args:
        plan: of the image, from its header.
        access: its access to the network.
        in_tile_thread: runs the loop over the tiles of a huge image, which mostly waits.
        arrays: storage for label map and confidence of a huge image.
        on_tile: called with the tiles done and their number; an exception ends the work. A whole
            image is one tile.
        at_network: context around the time in the queue and the network.
    """

    plan: ImagePlan
    access: NetworkAccess
    in_tile_thread: InThread
    arrays: Arrays
    on_tile: OnTile = lambda done, total: None
    at_network: Callable[[], AbstractContextManager[None]] = nullcontext

    def read(self, order: Order, image: OpenedImage) -> OpenImage:
        """Read an image completely unless it is tiled.

        Raises:
            BadParameterError: it is larger than its header said, and too large.
        """
        plan, height, width = self.plan, image.rows.height, image.rows.width
        if (height, width) != plan.size:  # a header that did not say the truth
            plan = order.plan(replace(image.info, height=height, width=width))
        is_read_by_tiles = plan.input.mode == "tiled" and not order.predict_options.probabilities
        pixels = None if is_read_by_tiles else image.rows.read(0, height)
        return OpenImage(image, plan.input, pixels)

    async def segment(self, order: Order, opened: OpenImage, timings: Timings) -> Segmentation:
        """Segment an image that was read, whole or tile by tile."""
        with self.at_network():
            if opened.pixels is None:
                with timings.measure("network"):
                    return await self.in_tile_thread(self._segment_rows, order, opened.image.rows)
            assert opened.plan is not None, "`read` has planned it"
            self.on_tile(0, 1)
            found, queued_s = await self.access.segment(opened.pixels, opened.plan)
            self.on_tile(1, 1)
        timings.add("queue", queued_s)
        for stage, seconds in found.timings.items():
            if stage != "decode":
                timings.add(stage, seconds)
        return found

    def _segment_rows(self, order: Order, rows: PixelRows) -> Segmentation:
        """Segment an image tile by tile; runs in its own thread."""
        labels, shape = order.model.labels, (rows.height, rows.width)
        label_map = self.arrays.array("label_map", shape, id_type(labels.num_classes))
        confidence = None
        if order.predict_options.confidence:
            confidence = self.arrays.array("confidence", shape, np.float16)
        strips = order.model.predictor.segment_rows(
            rows, order.predict_options, on_tile=self.on_tile, run_tiles=self.access.run_tiles
        )
        write_strips(strips, label_map, confidence)
        for array in (label_map, confidence):
            if array is not None:
                self.arrays.release(array)
        return Segmentation(label_map, confidence, labels, "tiled", {})


@dataclass(frozen=True)
class LocalDesk:
    """Admits images to the networks of this process; a `service.answering.segment.Desk`."""

    workers: Workers
    admission: Admission
    batcher: Batcher
    metrics: Metrics

    @asynccontextmanager
    async def admitted(
        self, order: Order, header: ImageInfo, *, body_bytes: int
    ) -> AsyncIterator[LocalNetwork]:
        """Plan an image and hold its room during the block; see `Desk`."""
        plan = await self.workers.on_image(order.plan, header, body_bytes=body_bytes)
        within_s = math.inf if order.deadline is None else order.deadline - time.monotonic()
        with self.admission.admit(plan.cost, model=order.model.name, within_s=within_s):
            access = NetworkAccess(
                self.batcher,
                asyncio.get_running_loop(),
                order.model,
                order.predict_options,
                deadline=order.deadline,
            )
            try:
                yield LocalNetwork(
                    plan,
                    access,
                    self.workers.on_tiles,
                    MemoryArrays(),
                    at_network=partial(self.metrics.queued, order.model.name),
                )
            finally:
                access.stop()  # stops the tiles' thread if the client has disconnected
