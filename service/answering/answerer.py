"""Synchronous answers: an image in memory, while its client waits.

The header is read first, so an image that is too large costs nothing, and one that is not admitted
is refused before it is decoded.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from maskzoo.models.errors import ImageTooLargeError
from maskzoo.models.images.decode import ImageInfo, read_header
from maskzoo.service.answering.answer import answer_image
from maskzoo.service.answering.order import ImagePlan, Order
from maskzoo.service.answering.segment import MemoryArrays, Workplace
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.errors import ImageNeedsJobError
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.observability.tracing import trace_stages
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.timings import Timings
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.network import NetworkAccess
from maskzoo.service.scheduling.workers import Workers

T = TypeVar("T")


@dataclass(frozen=True)
class Answerer:
    """Answers images in memory.

    Args:
        job_max_pixels: largest image of a job; the error for larger images names no job.
        decoder: of files that are not to be decoded in a thread; None decodes all there.
    """

    workers: Workers
    admission: Admission
    batcher: Batcher
    metrics: Metrics
    job_max_pixels: int
    decoder: Decoder | None = None

    async def answer(
        self, order: Order, data: bytes, write: Callable[[Answer], T]
    ) -> tuple[Answer, T]:
        """Return the answer to an image, and the result of `write` on it.

        Args:
            data: the image's file.
            write: runs in a thread, while the image still counts as admitted.

        Raises:
            ImageError: the bytes are not an image that can be read, or it is too large.
            OverloadedError: the server is full.
        """
        timings = Timings()
        try:
            return await self._answer(order, data, write, timings)
        finally:
            trace_stages(timings, model=order.model.name, image=order.file_name)

    async def _answer(
        self, order: Order, data: bytes, write: Callable[[Answer], T], timings: Timings
    ) -> tuple[Answer, T]:
        on_image = self.workers.on_image
        with timings.measure("decode"):
            if self.decoder is not None and self.decoder.takes(data):
                header = await self.decoder.header(data, name=order.file_name)
            else:
                header = await on_image(read_header, data, name=order.file_name)
        self._check_pixels(header, order.limits.max_pixels)
        plan = await on_image(order.plan, header, body_bytes=len(data))
        num_pixels = header.width * header.height
        ends = order.deadline
        within_s = math.inf if ends is None else ends - time.monotonic()
        with self.admission.admit(plan.cost, within_s=within_s):
            answer = await self._answer_admitted(order, data, plan, timings)
            with timings.measure("encode"):
                written = await on_image(write, answer)
        self.metrics.image(order.model.name, num_pixels, timings.seconds)
        return answer, written

    async def _answer_admitted(
        self, order: Order, data: bytes, plan: ImagePlan, timings: Timings
    ) -> Answer:
        network = NetworkAccess(
            self.batcher,
            asyncio.get_running_loop(),
            order.model,
            order.predict_options,
            deadline=order.deadline,
        )
        place = Workplace(
            network=network,
            in_thread=self.workers.on_image,
            in_tile_thread=self.workers.on_tiles,
            arrays=MemoryArrays(),
            decoder=self.decoder,
            at_network=partial(self.metrics.queued, order.model.name),
        )
        try:
            return await answer_image(order, data, plan, place, timings)
        finally:
            network.stop()  # stops the tiles' thread if the client has disconnected

    def _check_pixels(self, header: ImageInfo, limit: int) -> None:
        """Raise an error for an image that is too large for a synchronous answer.

        Raises:
            ImageNeedsJobError: it is small enough for a job.
            ImageTooLargeError: it is too large for a job as well.
        """
        num_pixels = header.width * header.height
        if num_pixels <= limit:
            return
        refuse = ImageNeedsJobError if num_pixels <= self.job_max_pixels else ImageTooLargeError
        raise refuse(header.width, header.height, limit)
