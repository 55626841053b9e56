"""Requests with several images: each image has its own outcome."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence

from maskzoo.service.errors import OverloadedError
from maskzoo.service.inputs.uploads import Upload
from maskzoo.service.pipeline import Job
from maskzoo.service.problems import MEDIA_TYPE, problem_of
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.mixed import Outcome

logger = logging.getLogger(__name__)

AnswerUpload = Callable[[Upload], Awaitable[tuple[Job, Answer, bytes]]]
"""Takes one image the whole way."""


async def answer_each(
    uploads: Sequence[Upload], answer: AnswerUpload, *, path: str, request_id: str
) -> list[Outcome]:
    """Return what became of each image, in the order of the request.

    They are let in together, so that the network may take them as one batch. One that found the
    server full because of the others is tried again when those are done.
    """

    async def attempt(upload: Upload, *, is_last: bool) -> Outcome | None:
        try:
            job, found, body = await answer(upload)
        except OverloadedError as error:
            return _failed(upload, error, path, request_id) if is_last else None
        except Exception as error:
            return _failed(upload, error, path, request_id)
        return _done(upload, job, found, body)

    outcomes = await asyncio.gather(*(attempt(upload, is_last=False) for upload in uploads))
    return [
        outcome or await attempt(upload, is_last=True)  # type: ignore[misc]
        for upload, outcome in zip(uploads, outcomes, strict=True)
    ]


def _done(upload: Upload, job: Job, found: Answer, body: bytes) -> Outcome:
    headers = {
        "Maskzoo-Model": found.model,
        "Maskzoo-Classes": json.dumps(found.class_names()),
        "Server-Timing": found.timings.header(),
    }
    form = job.form
    return Outcome(upload.name, 200, form.media_type.essence, body, form.suffix, headers)


def _failed(upload: Upload, error: Exception, path: str, request_id: str) -> Outcome:
    problem = problem_of(error)
    if problem.kind.status == 500:
        logger.error("event=image_crash request_id=%s", request_id, exc_info=error)
    document = json.dumps(problem.document(path=path, request_id=request_id)).encode()
    return Outcome(upload.name, problem.kind.status, MEDIA_TYPE, document)
