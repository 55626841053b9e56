"""Requests with several images: each image has its own outcome."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence

from maskzoo.service.errors import BadParameterError, OverloadedError
from maskzoo.service.inputs.uploads import Upload
from maskzoo.service.problems import MEDIA_TYPE, problem_of
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.outcomes import ImageOutcome

logger = logging.getLogger(__name__)

AnswerUpload = Callable[[Upload], Awaitable[tuple[Answer, bytes]]]
"""Answers one image; returns the body too."""


async def answer_each(
    uploads: Sequence[Upload],
    answer: AnswerUpload,
    *,
    media_type: str,
    suffix: str,
    path: str,
    request_id: str,
    max_bytes: int,
) -> list[ImageOutcome]:
    """Return the outcome of each image, in the order of the request.

    They are admitted together, so that they can share a batch. An image that is refused because the
    others fill the server is retried when those are done.

    Args:
        media_type, suffix: of the bodies that `answer` writes.
        path: of the request, for problem documents.
        max_bytes: of all answers, which wait for each other in memory.
    """
    num_bytes = 0

    async def attempt(upload: Upload, *, is_last: bool) -> ImageOutcome | None:
        nonlocal num_bytes
        try:
            found, body = await answer(upload)
            if num_bytes + len(body) > max_bytes:
                raise BadParameterError(
                    [
                        f"images: the answers to one request have at most {max_bytes} bytes; send "
                        "fewer images at a time"
                    ]
                )
            num_bytes += len(body)
        except OverloadedError as error:
            return _failed(upload, error, path, request_id) if is_last else None
        except Exception as error:
            return _failed(upload, error, path, request_id)
        return ImageOutcome(upload.name, 200, media_type, body, suffix, found.headers())

    outcomes = await asyncio.gather(*(attempt(upload, is_last=False) for upload in uploads))
    return [
        outcome or await attempt(upload, is_last=True)  # type: ignore[misc]
        for upload, outcome in zip(uploads, outcomes, strict=True)
    ]


def _failed(upload: Upload, error: Exception, path: str, request_id: str) -> ImageOutcome:
    problem = problem_of(error)
    if problem.kind.status == 500:
        logger.error("event=image_crash request_id=%s", request_id, exc_info=error)
    document = json.dumps(problem.document(path=path, request_id=request_id)).encode()
    return ImageOutcome(upload.name, problem.kind.status, MEDIA_TYPE, document)
