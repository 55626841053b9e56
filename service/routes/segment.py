"""`POST /segment`: an image in, its mask out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from maskzoo.service.answering.order import Order
from maskzoo.service.answering.several import answer_each
from maskzoo.service.errors import UrlRefusedError
from maskzoo.service.inputs.fetching import Fetcher
from maskzoo.service.inputs.json_bodies import ImageMember
from maskzoo.service.inputs.options import merge_options
from maskzoo.service.inputs.submissions import read_submission
from maskzoo.service.inputs.uploads import Submission, Upload
from maskzoo.service.openapi import BINARY, image_body, problem_responses
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.etag import matches, tag_of
from maskzoo.service.responses.formats import (
    AnswerFormat,
    choose_format,
    choose_format_of_many,
)
from maskzoo.service.responses.multipart import content_type
from maskzoo.service.responses.outcomes import write_array, write_outcomes
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.scheduling.lifetime import deadline, read_timeout, while_connected
from maskzoo.service.schemas import MOST_IMAGES, SegmentOptions, SegmentResult
from maskzoo.service.state import ImageServices, ImageServicesDep, RequestId

router = APIRouter(tags=["segment"])

_BODY = image_body(
    file_description="The image; may be repeated.",
    json_schema={
        "type": "object",
        "properties": {
            **ImageMember.model_json_schema()["properties"],
            "images": {
                "type": "array",
                "items": ImageMember.model_json_schema(),
                "minItems": 1,
                "maxItems": MOST_IMAGES,
            },
        },
        "description": "One of `image`, `url` and `images`; options are further members.",
    },
)
_PROBLEMS = problem_responses(
    {
        400: "Not an image, or a damaged one.",
        403: "A URL that this server does not fetch.",
        404: "No such model.",
        406: "No format of the answer meets the Accept header.",
        413: "Too many bytes or pixels.",
        415: "The body's type is not supported.",
        422: "An option is wrong.",
        503: "The server is full, or the model is loading or broken.",
        504: "Not ready within x-request-timeout-seconds, or the server's own limit.",
        507: "The image does not fit into the device's memory.",
    }
)
_CACHING = {"Vary": "Accept", "Cache-Control": "private, no-cache"}


@router.post(
    "/segment",
    summary="Segment an image",
    response_class=Response,
    responses={
        200: {
            "description": "The mask, at the size of the upright image.",
            "model": SegmentResult,
            "content": {
                "image/png": BINARY,
                "application/geo+json": {"schema": {"type": "object"}},
                "application/x-npz": BINARY,
                "multipart/mixed": BINARY,
            },
        },
        304: {"description": "If-None-Match holds the answer's ETag: the network did not run."},
        **_PROBLEMS,
    },
    openapi_extra={"requestBody": _BODY},
)
async def segment(
    request: Request,
    query: Annotated[SegmentOptions, Query()],
    services: ImageServicesDep,
    request_id: RequestId,
) -> Response:
    """Send the image as the body, as the field `file` of a form, or as base64 in JSON; options
    also as form fields or members.

    Several images (`file` repeated, `images` in JSON) are answered by an array of outcomes, or as
    multipart/mixed with one part each; one that fails does not affect the others.

    JPEG, PNG, WebP, TIFF, BMP and GIF (first frame) are read; EXIF orientation is applied, and
    the mask has the size of the upright image. Without `format`, the Accept header chooses.
    The header `x-request-timeout-seconds` limits how long the client waits.
    An `If-None-Match` with the ETag of an earlier answer gives 304 without work.
    """
    timeout_s = read_timeout(request, limit_s=services.settings.request_timeout_s)
    services.admission.check()  # before the body is read
    async with deadline(timeout_s):
        submission = await read_submission(
            request,
            max_bytes=services.settings.max_bytes,
            max_images=services.settings.max_images,
        )
        options = merge_options(query, submission.fields)
        ends = time.monotonic() + timeout_s
        asked = _Asked(request, services, options, request_id, ends)
        return await (_many if submission.is_many else _single)(asked, submission)


@dataclass(frozen=True)
class _Asked:
    """The options and headers that all images of one request share."""

    request: Request
    services: ImageServices
    options: SegmentOptions
    request_id: str
    deadline: float

    @property
    def accept(self) -> str | None:
        """The Accept header."""
        return self.request.headers.get("accept")

    async def order(self, upload: Upload, answer_format: AnswerFormat) -> Order:
        """Return the order of one image."""
        model = await self.services.manager.get(self.options.model)
        self.request.state.model = model.name
        return Order(
            model,
            self.options,
            answer_format,
            request_id=self.request_id,
            limits=CostLimits.of(self.services.settings),
            file_name=upload.name,
            deadline=self.deadline,
        )

    @asynccontextmanager
    async def data(self, upload: Upload) -> AsyncIterator[bytes]:
        """Yield the image's bytes, fetched if a URL was given; those count as a body does."""
        if upload.url is None:
            yield upload.data
            return
        settings = self.services.settings
        if not settings.url_input:
            raise UrlRefusedError("this server takes no urls")
        fetcher = Fetcher(settings.url_hosts, settings.url_timeout_s)
        held = 0

        def count(num_bytes: int) -> None:
            nonlocal held
            self.services.bodies.take(num_bytes)
            held += num_bytes

        try:
            yield await fetcher.fetch(upload.url, max_bytes=settings.max_bytes, count=count)
        finally:
            self.services.bodies.give_back(held)

    async def answer(
        self, order: Order, data: bytes, answer_format: AnswerFormat
    ) -> tuple[Answer, bytes]:
        """Return the answer, and its body."""
        return await self.services.answerer.answer(
            order, data, lambda answer: answer_format.encode(answer, self.options)
        )


async def _single(asked: _Asked, submission: Submission) -> Response:
    answer_format = choose_format(asked.accept, asked.options)
    (upload,) = submission.uploads
    order = await asked.order(upload, answer_format)
    async with asked.data(upload) as data:
        return await _answer_single(asked, order, data, answer_format)


async def _answer_single(
    asked: _Asked, order: Order, data: bytes, answer_format: AnswerFormat
) -> Response:
    tag = await asyncio.to_thread(
        tag_of, data, order.model, asked.options, answer_format.media_type
    )
    held = asked.request.headers.get("if-none-match")
    metrics = asked.services.metrics
    if held is not None:
        (metrics.cache_hits if matches(held, tag) else metrics.cache_misses).inc()
    if matches(held, tag):
        return Response(status_code=304, headers={"ETag": tag, **_CACHING})
    work = asked.answer(order, data, answer_format)
    answer, body = await while_connected(asked.request, work)
    essence = answer_format.media_type.essence
    return Response(
        body,
        media_type=content_type(body) if essence == "multipart/mixed" else essence,
        headers={"ETag": tag, **_headers(answer, answer_format)},
    )


async def _many(asked: _Asked, submission: Submission) -> Response:
    answer_format = choose_format_of_many(asked.accept, asked.options)

    async def answer(upload: Upload) -> tuple[Answer, bytes]:
        order = await asked.order(upload, answer_format)
        async with asked.data(upload) as data:
            return await asked.answer(order, data, answer_format)

    await asked.services.manager.get(asked.options.model)  # a wrong name is one error, not many
    work = answer_each(
        submission.uploads,
        answer,
        media_type=answer_format.media_type.essence,
        suffix=answer_format.suffix,
        path=asked.request.url.path,
        request_id=asked.request_id,
        max_bytes=asked.services.settings.many_bytes,
    )
    outcomes = await while_connected(asked.request, work)
    headers = {"Vary": "Accept", "Cache-Control": "no-store"}
    if answer_format.media_type.subtype.endswith("json"):
        body = await asyncio.to_thread(write_array, outcomes)
        return Response(body, media_type="application/json", headers=headers)
    body = await asyncio.to_thread(write_outcomes, outcomes)
    return Response(body, media_type=content_type(body), headers=headers)


def _headers(answer: Answer, answer_format: AnswerFormat) -> dict[str, str]:
    return {
        **_CACHING,
        "Content-Disposition": f'inline; filename="mask.{answer_format.suffix}"',
        **answer.headers(),
    }
