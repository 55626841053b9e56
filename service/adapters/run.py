"""Segmentation of images for the adapters of other protocols."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from starlette.requests import Request

from maskzoo.service.answering.order import AnswerLimit, Order
from maskzoo.service.inputs.uploads import Upload
from maskzoo.service.responses.answer import Answer, AnswerNeeds
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.scheduling.lifetime import deadline, read_timeout, while_connected
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.state import ImageServices

T = TypeVar("T")


async def run_images(
    request: Request,
    services: ImageServices,
    uploads: Sequence[Upload],
    write: Callable[[Answer], T],
    *,
    model: str | None,
    needs: AnswerNeeds,
    answer_limit: AnswerLimit | None = None,
) -> list[T]:
    """Return what `write` makes of the answer to each image; it runs in a thread.

    The images go together, so that they may share a batch; the first error ends them all. Errors
    are those of `/segment`.
    """
    timeout_s = read_timeout(request, limit_s=services.settings.request_timeout_s)
    services.admission.check()
    async with deadline(timeout_s):
        loaded = await services.manager.get(model)
        request.state.model = loaded.name
        ends = time.monotonic() + timeout_s
        orders = [
            Order(
                loaded,
                SegmentOptions(),
                needs,
                request_id=request.state.request_id,
                limits=CostLimits.of(services.settings),
                file_name=upload.name,
                answer_limit=answer_limit,
                deadline=ends,
            )
            for upload in uploads
        ]
        return await while_connected(request, _all(services, orders, uploads, write))


async def run_image(
    request: Request,
    services: ImageServices,
    upload: Upload,
    write: Callable[[Answer], T],
    *,
    model: str | None,
    needs: AnswerNeeds,
    answer_limit: AnswerLimit | None = None,
) -> T:
    """Do the same for one image."""
    (written,) = await run_images(
        request, services, [upload], write, model=model, needs=needs, answer_limit=answer_limit
    )
    return written


async def _all(
    services: ImageServices,
    orders: Sequence[Order],
    uploads: Sequence[Upload],
    write: Callable[[Answer], T],
) -> list[T]:
    tasks = [
        asyncio.create_task(services.answerer.answer(order, upload.data, write))
        for order, upload in zip(orders, uploads, strict=True)
    ]
    try:
        return [written for _, written in await asyncio.gather(*tasks)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
