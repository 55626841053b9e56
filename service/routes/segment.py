"""`POST /segment`: an image in, its mask out."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from models.inference.decode import decode_image
from models.inference.predictor import Segmentation
from models.spec import describe_mistakes
from service.errors import BadParameterError
from service.manager import LoadedModel
from service.responses.answer import Answer, Timings
from service.responses.forms import Form, choose_form
from service.responses.runs import LabelRuns
from service.schemas import ProblemDocument, SegmentOptions, SegmentResult
from service.state import RequestId, Services, ServicesDep
from service.uploads import Upload, read_upload

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
        (503, "The model is loading or broken."),
    )
}


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
    """
    upload = await read_upload(request, max_bytes=services.settings.max_bytes)
    options = merge_options(query, upload.fields)
    form = choose_form(request.headers.get("accept"), options)
    model = await services.manager.get(options.model)
    answer = await _work(services, model, upload, options, form, request_id)
    with answer.timings.measure("encode"):
        body = await services.workers.on_image(form.encode, answer, options)
    return Response(body, media_type=form.media_type.essence, headers=_headers(answer, form))


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


async def _work(
    services: Services,
    model: LoadedModel,
    upload: Upload,
    options: SegmentOptions,
    form: Form,
    request_id: str,
) -> Answer:
    """Decode and segment, each in its own pool."""
    timings = Timings()
    with timings.measure("decode"):
        decoded = await services.workers.on_image(
            decode_image, upload.data, max_pixels=services.settings.max_pixels, name=upload.name
        )
    found = await _run_network(services, model, decoded.pixels, options, form, timings)
    return Answer(
        model=model.name,
        labels=model.labels,
        runs=LabelRuns(found.labels),
        confidence=found.confidence,
        pixels=decoded.pixels,
        mode=found.mode,
        info=decoded.info.to_json(),
        request_id=request_id,
        file_name=upload.name,
        timings=timings,
    )


async def _run_network(
    services: Services,
    model: LoadedModel,
    pixels: np.ndarray,
    options: SegmentOptions,
    form: Form,
    timings: Timings,
) -> Segmentation:
    begun = time.perf_counter()
    found = await services.workers.on_network(
        model.predictor.segment, pixels, mode=options.mode, confidence=form.needs_confidence
    )
    stages = {key: value for key, value in found.timings.items() if key != "decode"}
    timings.add("queue", max(0.0, time.perf_counter() - begun - sum(stages.values())))
    for stage, seconds in stages.items():
        timings.add(stage, seconds)
    return found


def _headers(answer: Answer, form: Form) -> dict[str, str]:
    return {
        "Vary": "Accept",
        "Cache-Control": "no-store",
        "Content-Disposition": f'inline; filename="mask.{form.suffix}"',
        "Maskzoo-Model": answer.model,
        "Maskzoo-Classes": json.dumps(answer.class_names()),
        "Server-Timing": answer.timings.header(),
    }
