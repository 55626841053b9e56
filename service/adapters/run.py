"""Segmentation of images for the adapters of other protocols."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from starlette.requests import Request

from maskzoo.service.inputs.uploads import Upload
from maskzoo.service.pipeline import Job, answer_job
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.forms import Form
from maskzoo.service.responses.negotiate import MediaType
from maskzoo.service.scheduling.lifetime import deadline, read_timeout, while_connected
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.state import Services

Write = Callable[[Answer], bytes]
"""Writes the body of an answer; runs in a thread."""


def json_form(write: Write, *, needs_confidence: bool = True) -> Form:
    """Return the form of answer that `write` writes."""
    json = MediaType("application", "json")
    return Form("adapter", json, "json", lambda answer, _: write(answer), needs_confidence)


async def run_images(
    request: Request,
    services: Services,
    uploads: Sequence[Upload],
    form: Form,
    *,
    model: str | None,
    options: SegmentOptions | None = None,
) -> list[tuple[Answer, bytes]]:
    """Return what was found in each image and the body that `form` writes of it.

    The images go together, so that they may share a batch; the first error ends them all. Errors
    are those of `/segment`.
    """
    timeout_s = read_timeout(request, limit_s=services.settings.request_timeout_s)
    services.admission.check()
    async with deadline(timeout_s):
        loaded = await services.manager.get(model)
        request.state.model = loaded.name
        ends = time.monotonic() + timeout_s
        asked = options or SegmentOptions()
        request_id = request.state.request_id
        jobs = [Job(upload, loaded, asked, form, request_id, ends) for upload in uploads]
        return await while_connected(request, _all(services, jobs))


async def run_image(
    request: Request,
    services: Services,
    upload: Upload,
    form: Form,
    *,
    model: str | None,
    options: SegmentOptions | None = None,
) -> tuple[Answer, bytes]:
    """Do the same for one image."""
    found = await run_images(request, services, [upload], form, model=model, options=options)
    return found[0]


async def _all(services: Services, jobs: Sequence[Job]) -> list[tuple[Answer, bytes]]:
    tasks = [asyncio.create_task(answer_job(services, job)) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
