"""`POST /segment`: an image in, its mask out."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from models.spec import describe_mistakes
from service.caching import matches, tag_of
from service.errors import BadParameterError
from service.lifetime import deadline, read_timeout, while_connected
from service.pipeline import Job, answer_job
from service.responses.answer import Answer
from service.responses.forms import Form, choose_form
from service.schemas import ProblemDocument, SegmentOptions, SegmentResult
from service.state import RequestId, ServicesDep
from service.uploads import read_upload

router = APIRouter(tags=["segment"])

_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}},
            }
        },
        "application/octet-stream": _IMAGE,
        "image/*": _IMAGE,
    },
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDocument, "description": phrase}
    for status, phrase in (
        (400, "Not an image, or a damaged one."),
        (404, "No such model."),
        (406, "No form of the answer meets the Accept header."),
        (413, "Too many bytes or pixels."),
        (415, "The body's type is not supported."),
        (422, "An option is wrong."),
        (503, "The server is full, or the model is loading or broken."),
        (504, "Not ready within x-request-timeout-seconds, or the server's own limit."),
        (507, "The image does not fit into the device's memory."),
    )
}

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
                "image/png": _IMAGE,
                "application/geo+json": {"schema": {"type": "object"}},
                "application/x-npz": _IMAGE,
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
    """Send the image as the body, or as the field `file` of a form; options also as form fields.

    JPEG, PNG, WebP, TIFF, BMP and GIF (first frame) are read; EXIF orientation is applied, and
    the mask has the size of the upright image. Without `format`, the Accept header chooses.
    The header `x-request-timeout-seconds` says how long the answer is worth waiting for.
    An `If-None-Match` with the ETag of an earlier answer gives 304 without work.
    """
    timeout_s = read_timeout(request, limit_s=services.settings.request_timeout_s)
    services.admission.check()  # before the body is read
    async with deadline(timeout_s):
        upload = await read_upload(request, max_bytes=services.settings.max_bytes)
        options = merge_options(query, upload.fields)
        form = choose_form(request.headers.get("accept"), options)
        model = await services.manager.get(options.model)
        job = Job(upload, model, options, form, request_id, time.monotonic() + timeout_s)
        tag = tag_of(upload.data, model, options, form)
        if matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers={"ETag": tag, **_CACHING})
        answer, body = await while_connected(request, answer_job(services, job))
    headers = {"ETag": tag, **_headers(answer, form)}
    return Response(body, media_type=form.media_type.essence, headers=headers)


def merge_options(query: SegmentOptions, fields: Any) -> SegmentOptions:
    """Join the options of the query with those of the form, which must not contradict.

    Raises:
        BadParameterError: lists every mistake.
    """
    if not fields:
        return query
    given = query.model_dump(exclude_unset=True)
    twice = [key for key in fields if key in given and str(given[key]) != fields[key]]
    if twice:
        raise BadParameterError(
            [f"{key}: the query says {given[key]!r}, the form {fields[key]!r}" for key in twice]
        )
    try:
        return SegmentOptions.model_validate({**fields, **given})
    except ValidationError as error:
        raise BadParameterError(describe_mistakes(error)) from None


def _headers(answer: Answer, form: Form) -> dict[str, str]:
    return {
        **_CACHING,
        "Content-Disposition": f'inline; filename="mask.{form.suffix}"',
        "Maskzoo-Model": answer.model,
        "Maskzoo-Classes": json.dumps(answer.class_names()),
        "Server-Timing": answer.timings.header(),
    }
