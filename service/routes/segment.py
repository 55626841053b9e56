"""`POST /segment`: an image in, its mask out."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from maskzoo.service.errors import UrlRefusedError
from maskzoo.service.inputs.fetching import Fetcher
from maskzoo.service.inputs.json_bodies import ImageMember
from maskzoo.service.inputs.options import merge_options
from maskzoo.service.inputs.submissions import read_submission
from maskzoo.service.inputs.uploads import Submission, Upload
from maskzoo.service.openapi import BINARY, image_body, problem_responses
from maskzoo.service.pipeline import Job, answer_job
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.etag import matches, tag_of
from maskzoo.service.responses.forms import Form, choose_form, choose_form_of_many
from maskzoo.service.responses.mixed import content_type, write_array, write_outcomes
from maskzoo.service.scheduling.lifetime import deadline, read_timeout, while_connected
from maskzoo.service.schemas import SegmentOptions, SegmentResult
from maskzoo.service.several import answer_each
from maskzoo.service.state import RequestId, Services, ServicesDep

router = APIRouter(tags=["segment"])

_BODY = image_body(
    file_description="The image; may be repeated.",
    json_schema={
        "type": "object",
        "properties": {
            "image": {"type": "string", "description": "Base64 of an image file."},
            "url": {"type": "string", "description": "Where the server allows it."},
            "images": {
                "type": "array",
                "items": ImageMember.model_json_schema(),
                "minItems": 1,
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
    services: ServicesDep,
    request_id: RequestId,
) -> Response:
    """Send the image as the body, as the field `file` of a form, or as base64 in JSON; options
    also as form fields or members.

    Several images (`file` repeated, `images` in JSON) are answered by an array of outcomes, or as
    multipart/mixed with one part each; one that fails does not hurt the others.

    JPEG, PNG, WebP, TIFF, BMP and GIF (first frame) are read; EXIF orientation is applied, and
    the mask has the size of the upright image. Without `format`, the Accept header chooses.
    The header `x-request-timeout-seconds` says how long the answer is worth waiting for.
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
    """One request, as every image of it needs it."""

    request: Request
    services: Services
    options: SegmentOptions
    request_id: str
    deadline: float

    @property
    def accept(self) -> str | None:
        """What the client wants to have."""
        return self.request.headers.get("accept")

    async def job(self, upload: Upload, form: Form) -> Job:
        """Return the job of one image, which is fetched where it was named by its URL."""
        model = await self.services.manager.get(self.options.model)
        self.request.state.model = model.name
        if upload.url is not None:
            settings = self.services.settings
            if not settings.url_input:
                raise UrlRefusedError("this server takes no urls")
            fetcher = Fetcher(settings.url_hosts, settings.url_timeout_s)
            data = await fetcher.fetch(upload.url, max_bytes=settings.max_bytes)
            upload = replace(upload, data=data)
        return Job(upload, model, self.options, form, self.request_id, self.deadline)


async def _single(asked: _Asked, submission: Submission) -> Response:
    form = choose_form(asked.accept, asked.options)
    job = await asked.job(submission.uploads[0], form)
    tag = tag_of(job.upload.data, job.model, asked.options, form)
    held = asked.request.headers.get("if-none-match")
    metrics = asked.services.metrics
    if held is not None:
        (metrics.cache_hits if matches(held, tag) else metrics.cache_misses).inc()
    if matches(held, tag):
        return Response(status_code=304, headers={"ETag": tag, **_CACHING})
    answer, body = await while_connected(asked.request, answer_job(asked.services, job))
    essence = form.media_type.essence
    return Response(
        body,
        media_type=content_type(body) if essence == "multipart/mixed" else essence,
        headers={"ETag": tag, **_headers(answer, form)},
    )


async def _many(asked: _Asked, submission: Submission) -> Response:
    form = choose_form_of_many(asked.accept, asked.options)

    async def answer(upload: Upload) -> tuple[Job, Answer, bytes]:
        job = await asked.job(upload, form)
        return job, *await answer_job(asked.services, job)

    await asked.services.manager.get(asked.options.model)  # a wrong name is one mistake, not many
    work = answer_each(
        submission.uploads, answer, path=asked.request.url.path, request_id=asked.request_id
    )
    outcomes = await while_connected(asked.request, work)
    headers = {"Vary": "Accept", "Cache-Control": "no-store"}
    if form.media_type.subtype.endswith("json"):
        return Response(write_array(outcomes), media_type="application/json", headers=headers)
    body = write_outcomes(outcomes)
    return Response(body, media_type=content_type(body), headers=headers)


def _headers(answer: Answer, form: Form) -> dict[str, str]:
    return {
        **_CACHING,
        "Content-Disposition": f'inline; filename="mask.{form.suffix}"',
        "Maskzoo-Model": answer.model,
        "Maskzoo-Classes": json.dumps(answer.class_names()),
        "Server-Timing": answer.timings.header(),
    }
