"""Hugging Face, Label Studio and CVAT: point their clients here instead of at their own server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from maskzoo.models.errors import ZooError
from maskzoo.service.adapters import cvat, huggingface, label_studio
from maskzoo.service.adapters.label_studio_images import find_image
from maskzoo.service.adapters.run import run_image
from maskzoo.service.answering.order import AnswerLimit
from maskzoo.service.inputs.bodies import JSON_TYPE, base64_room, read_limited, refuse_coding
from maskzoo.service.inputs.uploads import Upload
from maskzoo.service.openapi import json_body
from maskzoo.service.problems import problem_of
from maskzoo.service.responses.answer import Answer
from maskzoo.service.scheduling.lifetime import within_timeout
from maskzoo.service.state import ImageServices, ImageServicesDep, ModelName

router = APIRouter(tags=["other protocols"])
_Predicted = tuple[dict[str, Any], int]
"""A prediction, and the number of its run lengths."""

_log = logging.getLogger(__name__)


@router.post("/huggingface/{model}", summary="Hugging Face image segmentation")
async def segment_huggingface(
    request: Request, services: ImageServicesDep, model: ModelName
) -> Response:
    """Raw bytes, or `{"inputs": base64, "parameters": {…}}`; gives `[{score, label, mask}]`."""
    async with _within_timeout(request, services):
        body = await _read(request, services)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        image, parameters = await asyncio.to_thread(huggingface.parse_request, body, media_type)
        write = partial(huggingface.encode_segments, parameters=parameters)
        written = await run_image(
            request, services, Upload(image), write, model=model, needs=huggingface.NEEDS
        )
    return Response(written, media_type=JSON_TYPE)


@router.get("/cvat/{model}", summary="A CVAT function's labels")
async def describe_cvat(services: ImageServicesDep, model: ModelName) -> dict[str, Any]:
    """What belongs into the annotations of a Nuclio function that forwards here."""
    loaded = await services.manager.get(model)
    return cvat.describe_function(loaded.name, list(loaded.labels.names), loaded.labels.background)


@router.post("/cvat/{model}", summary="CVAT detector")
async def segment_cvat(
    request: Request,
    services: ImageServicesDep,
    model: ModelName,
    mask_format: Annotated[
        cvat.MaskFormat,
        Query(alias="format", description="`flat` for Nuclio, `rle` for `points` of stored masks."),
    ] = "flat",
) -> Response:
    """`{"image": base64, "threshold": 0.5}`; gives `[{confidence, label, type, mask, points}]`."""
    async with _within_timeout(request, services):
        body = await _read(request, services)
        image, threshold = await asyncio.to_thread(cvat.parse_request, body)
        flat_pixels = services.settings.flat_pixels
        write = partial(
            cvat.encode_shapes,
            threshold=threshold,
            mask_format=mask_format,
            flat_pixels=flat_pixels,
        )
        limit = AnswerLimit(flat_pixels, "in flat masks; ask for format=rle")
        written = await run_image(
            request,
            services,
            Upload(image),
            write,
            model=model,
            needs=cvat.needs_of(mask_format, flat_pixels=flat_pixels),
            answer_limit=limit if mask_format == "flat" else None,
        )
    return Response(written, media_type=JSON_TYPE)


@router.head("/label-studio/health", include_in_schema=False)
@router.head("/label-studio/{model}/health", include_in_schema=False)
@router.get("/label-studio/health", summary="Label Studio: is the backend there?")
@router.get("/label-studio/{model}/health", include_in_schema=False)
async def label_studio_health() -> dict[str, str]:
    """As the ML backend's own."""
    return {"status": "UP", "model_class": "maskzoo"}


@router.post("/label-studio/setup", summary="Label Studio: begin")
@router.post("/label-studio/{model}/setup", include_in_schema=False)
async def label_studio_setup(
    services: ImageServicesDep, model: ModelName | None = None
) -> dict[str, str]:
    """Says which model answers; nothing is kept."""
    loaded = await services.manager.get(model)
    return {"model_version": f"{loaded.name}@{loaded.version}"}


@router.post(
    "/label-studio/predict",
    summary="Label Studio: predictions",
    openapi_extra={"requestBody": json_body(label_studio.PredictRequest)},
)
@router.post("/label-studio/{model}/predict", include_in_schema=False)
async def label_studio_predict(
    request: Request, services: ImageServicesDep, model: ModelName | None = None
) -> Response:
    """One prediction for each task; one that fails is empty and says why in `error`."""
    async with _within_timeout(request, services):
        body = await _read(request, services)
        asked, config = await asyncio.to_thread(label_studio.parse_request, body)
        loaded = await services.manager.get(model)
        version = f"{loaded.name}@{loaded.version}"
        mistake = label_studio.no_match(config, loaded.labels)
        if mistake is not None:
            _log.warning("model=%s %s", loaded.name, mistake)
        results = []
        runs_left = services.settings.brush_runs
        for task in asked.tasks:
            if mistake is None:
                write = partial(label_studio.describe_prediction, config=config, max_runs=runs_left)
                prediction, num_runs = await _predict(
                    request, services, task, config.image_key, loaded.name, write
                )
                runs_left -= num_runs
            else:  # the network is not run: there would be nothing to show for it
                prediction = {"result": [], "score": 0.0, "error": mistake}
            results.append({**prediction, "model_version": version})
    document = {"results": results, "model_version": version}
    text = await asyncio.to_thread(json.dumps, document)  # run lengths may be very many
    return Response(text, media_type=JSON_TYPE)


async def _predict(
    request: Request,
    services: ImageServices,
    task: dict[str, Any],
    image_key: str,
    model: str,
    write: Callable[[Answer], _Predicted],
) -> _Predicted:
    try:
        upload = await find_image(task, image_key, services.settings)
        return await run_image(
            request, services, upload, write, model=model, needs=label_studio.NEEDS
        )
    except ZooError as error:
        return {"result": [], "score": 0.0, "error": problem_of(error).detail}, 0


def _within_timeout(request: Request, services: ImageServices) -> AbstractAsyncContextManager[None]:
    return within_timeout(request, limit_s=services.settings.request_timeout_s)


async def _read(request: Request, services: ImageServices) -> bytes:
    refuse_coding(request, [JSON_TYPE])
    return await read_limited(request, base64_room(services.settings.max_bytes))
