"""`POST /segment`: an image in, its mask out."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from models.inference.decode import decode_image
from models.spec import describe_mistakes
from service.errors import BadParameterError
from service.manager import LoadedModel
from service.problems import MEDIA_TYPE
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
    status: {"content": {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}}
    for status in (400, 404, 406, 413, 415, 422, 503)
}


@router.post(
    "/segment",
    summary="Segment an image",
    response_class=Response,
    responses={
        200: {
            "description": "The mask, at the size of the upright image.",
            "content": {
                "image/png": _IMAGE,
                "application/json": {"schema": SegmentResult.model_json_schema()},
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
    timings = Timings()
    upload = await read_upload(request, max_bytes=services.settings.max_bytes)
    options = merge_options(query, upload.fields)
    form = choose_form(request.headers.get("accept"), options)
    model = await services.manager.get(options.model)
    answer = await _work(services, model, upload, options, request_id, timings)
    with timings.measure("encode"):
        body = await services.workers.on_image(form.encode, answer, options)
    return Response(body, media_type=str(form.media_type), headers=_headers(answer, form))


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
    request_id: str,
    timings: Timings,
) -> Answer:
    """Decode and segment, each in its own pool."""
    with timings.measure("decode"):
        decoded = await services.workers.on_image(
            decode_image, upload.data, max_pixels=services.settings.max_pixels, name=upload.name
        )
    with timings.measure("network"):
        found = await services.workers.on_network(
            model.predictor.segment, decoded.pixels, mode=options.mode
        )
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


def _headers(answer: Answer, form: Form) -> dict[str, str]:
    return {
        "Vary": "Accept",
        "Cache-Control": "no-store",
        "Content-Disposition": f'inline; filename="mask.{form.suffix}"',
        "Maskzoo-Model": answer.model,
        "Maskzoo-Classes": json.dumps(answer.class_names()),
        "Server-Timing": answer.timings.header(),
    }
