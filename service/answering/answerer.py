"""Synchronous answers: an image in memory, while its client waits.

The header is read first, so an image that is too large costs nothing, and one that is not admitted
is refused before it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from maskzoo.models.errors import ImageTooLargeError
from maskzoo.models.images.decode import ImageInfo, read_header
from maskzoo.service.answering.answer import answer_image
from maskzoo.service.answering.order import Order
from maskzoo.service.answering.segment import Desk, Workplace
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.errors import ImageNeedsJobError
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.observability.tracing import trace_stages
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.timings import Timings
from maskzoo.service.scheduling.workers import Workers

T = TypeVar("T")


@dataclass(frozen=True)
class Answerer:
    """Answers images in memory.

    Args:
        desk: admits images to the networks.
        job_max_pixels: largest image of a job; the error for larger images names no job.
        decoder: of files that are not to be decoded in a thread; None decodes all there.
    """

    workers: Workers
    desk: Desk
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
        num_pixels = header.width * header.height
        async with self.desk.admitted(order, header, body_bytes=len(data)) as network:
            place = Workplace(network, on_image, self.decoder)
            answer = await answer_image(order, data, header, place, timings)
            with timings.measure("encode"):
                written = await on_image(write, answer)
        self.metrics.image(order.model.name, num_pixels, timings.seconds)
        return answer, written

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
