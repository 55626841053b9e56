"""`/v2`: the Open Inference Protocol; `service.problems` gives its errors their own form."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from maskzoo.service.adapters.oip import (
    build_outputs,
    describe_model,
    image_limit,
    numbers_in_json,
    read_images,
    wanted_outputs,
)
from maskzoo.service.adapters.run import run_images
from maskzoo.service.adapters.tensors import (
    HEADER_LENGTH,
    InferRequest,
    parse_inference,
    write_answer,
)
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.inputs.bodies import JSON_TYPE, base64_room, read_limited, refuse_coding
from maskzoo.service.inputs.uploads import Upload
from maskzoo.service.openapi import json_body
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.scheduling.lifetime import within_timeout
from maskzoo.service.state import ImageServices, ImageServicesDep, ModelName, ServicesDep


class Refusal(BaseModel):
    """An error, as the protocol has it."""

    error: str


_BYTES_PER_PIXEL = 16
_BYTES_PER_NUMBER = 70  # of a list and its text, while they are written

router = APIRouter(
    prefix="/v2",
    tags=["open inference protocol"],
    responses={"default": {"model": Refusal, "description": "What was wrong."}},
)


@router.get("", summary="The server")
async def server(request: Request) -> dict[str, Any]:
    """Name, version and extensions."""
    version = request.app.version
    return {"name": "maskzoo", "version": version, "extensions": ["binary_tensor_data"]}


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Is the process alive?")
async def live() -> dict[str, bool]:
    """Answers while models load and networks work."""
    return {"live": True}


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", summary="Can the service work?")
async def ready(services: ServicesDep) -> Response:
    """200 once a model can be used and none is being preloaded; 503 before."""
    is_ready = services.manager.is_ready()
    return JSONResponse({"ready": is_ready}, status_code=200 if is_ready else 503)


@router.get("/models", summary="The models' names")
async def list_models(services: ServicesDep) -> dict[str, list[str]]:
    """Every model that has not failed."""
    entries = services.manager.entries.values()
    return {"models": [entry.name for entry in entries if entry.state != "failed"]}


@router.get("/models/{model}", summary="A model's inputs and outputs")
@router.get("/models/{model}/versions/{version}", include_in_schema=False)
async def metadata(
    services: ServicesDep, model: ModelName, version: ModelName | None = None
) -> dict[str, Any]:
    """What it takes and gives, and its classes."""
    loaded = await _get(services, model, version)
    return describe_model(model, loaded.version, loaded.labels)


@router.head("/models/{model}/ready", include_in_schema=False)
@router.get("/models/{model}/ready", summary="Can a model work?")
@router.get("/models/{model}/versions/{version}/ready", include_in_schema=False)
async def model_ready(
    services: ServicesDep, model: ModelName, version: ModelName | None = None
) -> Response:
    """200 where it is in memory, 503 where it is not."""
    entry = services.manager.entry(_full_name(model, version))
    is_ready = entry.state == "ready"
    return JSONResponse({"name": model, "ready": is_ready}, status_code=200 if is_ready else 503)


@router.post(
    "/models/{model}/infer",
    summary="Segment images",
    response_class=Response,
    openapi_extra={"requestBody": json_body(InferRequest)},
)
@router.post(
    "/models/{model}/versions/{version}/infer", include_in_schema=False, response_class=Response
)
async def infer(
    request: Request, services: ImageServicesDep, model: ModelName, version: ModelName | None = None
) -> Response:
    """Input `image` (BYTES, files) or `pixels` (UINT8); outputs `mask`, `confidence`, `png`.

    Tensors are JSON, or bytes behind the JSON by the binary tensor data extension.
    """
    async with within_timeout(request, limit_s=services.settings.request_timeout_s):
        refuse_coding(request, [JSON_TYPE])
        settings = services.settings
        body = await read_limited(request, base64_room(settings.max_bytes))
        header_length = request.headers.get(HEADER_LENGTH)
        inference = await asyncio.to_thread(
            parse_inference, body, header_length, json_numbers=settings.json_numbers
        )
        names = wanted_outputs(inference)
        limits = {"max_images": settings.max_images, "max_pixels": settings.max_pixels}
        images = await services.workers.on_image(read_images, inference, **limits)
        loaded = await _get(services, model, version)
        uploads = [Upload(image, f"image {number}") for number, image in enumerate(images)]
        numbers = numbers_in_json(inference, names)
        answers = await run_images(
            request,
            services,
            uploads,
            lambda answer: answer,
            model=loaded.name,
            needs=AnswerNeeds(
                needs_confidence="confidence" in names,
                bytes_per_pixel=_BYTES_PER_PIXEL + _BYTES_PER_NUMBER * numbers,
            ),
            answer_limit=image_limit(
                numbers,
                num_images=len(images),
                json_numbers=settings.json_numbers,
                max_pixels=settings.max_pixels,
            ),
        )
        outputs = await services.workers.on_image(build_outputs, names, answers)
        head = {"model_name": model, "model_version": loaded.version}
        if inference.request.id is not None:
            head["id"] = inference.request.id
        answer_body, length = await asyncio.to_thread(write_answer, head, outputs, inference)
    if length is None:
        return Response(answer_body, media_type="application/json")
    return Response(
        answer_body,
        media_type="application/octet-stream",
        headers={HEADER_LENGTH: str(length)},
    )


async def _get(services: ImageServices, model: str, version: str | None) -> LoadedModel:
    return await services.manager.get(_full_name(model, version))


def _full_name(model: str, version: str | None) -> str:
    return model if version is None else f"{model}@{version}"
