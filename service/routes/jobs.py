"""`/jobs`: images too large for one request."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from maskzoo.models.errors import ImageTooLargeError
from maskzoo.models.images.decode import ImageInfo, read_header
from maskzoo.models.images.raster.bands import BY_BANDS, check_number, no_colours
from maskzoo.service.answering.finish import check_answerable
from maskzoo.service.answering.order import Order
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.errors import (
    BadParameterError,
    JobNotDoneError,
    JobNotFoundError,
    JobsOffError,
)
from maskzoo.service.inputs.bodies import FORM_TYPE, announced_bytes, body_type
from maskzoo.service.inputs.options import merge_options
from maskzoo.service.jobs.documents import JobDocument, describe_job
from maskzoo.service.jobs.intake import ACCEPTED_TYPES, receive
from maskzoo.service.jobs.records import JobRecord
from maskzoo.service.observability.tracing import carry_trace, link_trace
from maskzoo.service.openapi import BINARY, image_body, problem_responses
from maskzoo.service.responses.formats import choose_format
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.state import Owner, RequestId, Services, ServicesDep


async def _check_jobs(services: ServicesDep) -> None:
    """Refuse each request where jobs are off: a 404 would say that a job does not exist."""
    if not services.settings.jobs:
        raise JobsOffError("MASKZOO_JOBS is off, as it is on Ray unless replicas share their jobs")


router = APIRouter(prefix="/jobs", tags=["jobs"], dependencies=[Depends(_check_jobs)])

_RESULTS = ("image/png", "application/json", "application/geo+json", "image/tiff")
_WATCH_S = 0.25
_ALIVE_S = 15.0  # s; proxies close connections that are silent for longer
_NOT_FOUND = problem_responses({404: "No such job."})
_PROBLEMS = problem_responses(
    {
        400: "Not an image, or a damaged one.",
        404: "No such model.",
        406: "No format of the answer meets the Accept header.",
        413: "Too many bytes or pixels even for a job.",
        415: "The body's type is not supported.",
        422: "An option is wrong.",
        503: "Too many jobs are waiting, the server keeps none, or the model is not ready.",
        507: "The server's disk is full.",
    }
)

_LINKS = {
    name: {"operationId": operation, "parameters": {"job_id": "$response.body#/id"}}
    for name, operation in (
        ("show", "show_job_jobs__job_id__get"),
        ("watch", "watch_job_jobs__job_id__events_get"),
        ("result", "fetch_result_jobs__job_id__result_get"),
        ("delete", "delete_job_jobs__job_id__delete"),
    )
}

JobId = Annotated[
    str, Path(pattern=r"^[0-9a-f]{32}$", description="From the `Location` of the accepted job.")
]


@router.post(
    "",
    summary="Segment a large image in the background",
    status_code=202,
    response_model=JobDocument,
    responses={
        202: {
            "description": "Accepted; `Location` is where to ask for its state.",
            "links": _LINKS,
        },
        **_PROBLEMS,
    },
    openapi_extra={"requestBody": image_body()},
)
async def create_job(
    request: Request,
    query: Annotated[SegmentOptions, Query()],
    services: ServicesDep,
    request_id: RequestId,
    owner: Owner,
) -> Response:
    """Send the image as the body, or as the field `file` of a form; options as for /segment.

    Returns as soon as the image is stored. An accepted job survives a restart of the server. The
    format of the result is chosen now, by `format` or the Accept header.
    """
    jobs = services.jobs
    accept = request.headers.get("accept")
    limit = services.settings.job_max_bytes
    announced = announced_bytes(request.headers) or limit  # a chunked body announces nothing
    async with jobs.reserve(min(announced, limit)) as place:
        if body_type(request, ACCEPTED_TYPES) != FORM_TYPE:
            await _find_model(services, query, accept)  # before the upload: there is no other field
        intake = await receive(request, place.upload, max_bytes=limit)
        options = merge_options(query, intake.fields)
        model = await _find_model(services, options, accept)
        if services.decoder.takes(place.upload):
            info = await services.decoder.header(place.upload, name=intake.name)
        else:
            info = await services.workers.on_image(read_header, place.upload, name=intake.name)
        max_pixels = services.settings.job_max_pixels
        if info.width * info.height > max_pixels:
            raise ImageTooLargeError(info.width, info.height, max_pixels)
        _check_bands(model, info, intake.name)
        await _check_cost(services, model, options, accept, info)
        await jobs.grow(place, info)
        job = JobRecord(
            secrets.token_hex(16),
            created=time.time(),
            info=info,
            owner=owner,
            options=options,
            accept=accept,
            file_name=intake.name,
            request_id=request_id,
            trace=carry_trace(),
        )
        await jobs.accept(job, place)
    headers = {"Location": f"/jobs/{job.id}", "Retry-After": "1", "Cache-Control": "no-store"}
    return JSONResponse(_document(services, job), status_code=202, headers=headers)


@router.get("/{job_id}", summary="Show the progress of a job", responses=_NOT_FOUND)
async def show_job(
    job_id: JobId, services: ServicesDep, response: Response, owner: Owner
) -> JobDocument:
    """The state of a job, its progress (0 to 1), and the address of its result once it is done."""
    job = await services.jobs.get(job_id, owner=owner)
    response.headers["Cache-Control"] = "no-store"
    if job.is_active:
        response.headers["Retry-After"] = "1"
    return describe_job(job, keep_s=services.settings.job_keep_s)


@router.get(
    "/{job_id}/events",
    summary="Follow the progress of a job",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events of the type `state` with the document of the job, "
            "one at once and one after each change; the last one when it has ended.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **_NOT_FOUND,
    },
)
async def watch_job(job_id: JobId, services: ServicesDep, owner: Owner) -> Response:
    """For `new EventSource("/jobs/…/events")`; it may be opened again at any time."""
    await services.jobs.get(job_id, owner=owner)
    return StreamingResponse(
        _events(services, job_id, owner),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get(
    "/{job_id}/result",
    summary="Fetch the result of a job",
    response_class=FileResponse,
    responses={
        200: {
            "description": "As `POST /segment` would have answered; ranges are served.",
            "content": dict.fromkeys(_RESULTS, BINARY),
        },
        206: {"description": "The range that was asked for."},
        **problem_responses({409: "The job has no result (yet)."}),
        416: {"description": "No such range."},
        **_NOT_FOUND,
    },
)
async def fetch_result(job_id: JobId, services: ServicesDep, owner: Owner) -> Response:
    """The result is kept until the job expires; fetching does not remove it."""
    job = await services.jobs.get(job_id, owner=owner)
    if job.state != "done" or job.result is None:
        raise JobNotDoneError(job.state, job.progress)
    link_trace(job.trace)
    path = await services.jobs.result_path(job, job.result.file)
    if not path.is_file():
        raise JobNotFoundError(job_id)
    return FileResponse(
        path,
        media_type=job.result.media_type,
        filename=f"mask.{path.suffix[1:]}",
        content_disposition_type="inline",
        headers={
            "Cache-Control": "private, no-cache",
            **job.result.headers,
        },
    )


@router.delete(
    "/{job_id}",
    summary="Cancel or delete a job",
    status_code=204,
    response_class=Response,
    responses=_NOT_FOUND,
)
async def delete_job(job_id: JobId, services: ServicesDep, owner: Owner) -> Response:
    """Cancels a job that has not ended, deletes one that has, and removes its files."""
    await services.jobs.cancel(await services.jobs.get(job_id, owner=owner))
    return Response(status_code=204)


async def _find_model(
    services: Services, options: SegmentOptions, accept: str | None
) -> LoadedModel:
    """Return the model of a job, or reject a job that would fail later.

    The model is loaded, as what a run takes depends on its engine; the job needs it anyway.

    Raises:
        BadParameterError, UnknownNameError, NotAcceptableError: the options cannot be met.
        ModelBrokenError, ModelUnloadedError, ModelLoadingError, NoModelError: there is no model
            now; a job would wait for it with its upload on the disk.
    """
    choose_format(accept, options)
    if options.probabilities:
        raise BadParameterError(["probabilities: not for jobs; they would fill the disk"])
    model = await services.manager.get(options.model)
    check_answerable(options, model.labels, model.manifest.preprocessing.bands)
    return model


def _check_bands(model: LoadedModel, info: ImageInfo, name: str) -> None:
    """Reject an image of other bands than the model takes.

    Raises:
        ImageBandsError: their numbers differ, or an RGB model would get bands that are no colours.
    """
    bands = model.manifest.preprocessing.bands
    if bands is None and info.scaling == BY_BANDS:
        raise no_colours(info.bands, name)
    if bands is not None:
        has_alpha = info.alpha != "none"
        check_number(bands, num_samples=info.bands + has_alpha, has_alpha=has_alpha, name=name)


async def _check_cost(
    services: Services,
    model: LoadedModel,
    options: SegmentOptions,
    accept: str | None,
    info: ImageInfo,
) -> None:
    """Reject a job that takes more than is allowed.

    Raises:
        BadParameterError: it is beyond a limit of a run, of logits or of the answer.
    """
    order = Order(
        model,
        options,
        choose_format(accept, options),
        request_id="",
        limits=CostLimits.of(services.settings, is_job=True),
    )
    await services.workers.on_image(order.plan, info)


def _document(services: Services, job: JobRecord) -> dict[str, Any]:
    return describe_job(job, keep_s=services.settings.job_keep_s).model_dump(mode="json")


async def _events(services: Services, job_id: str, owner: str) -> AsyncIterator[bytes]:
    """Write the changes of a job as server-sent events.

    Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    changes = services.jobs.watch(job_id, owner=owner, every_s=_WATCH_S)
    coming = asyncio.ensure_future(anext(changes))
    ending = asyncio.ensure_future(services.drain.started.wait())
    yield b"retry: 2000\n\n"
    try:
        while True:
            done, _ = await asyncio.wait(
                {coming, ending}, timeout=_ALIVE_S, return_when=asyncio.FIRST_COMPLETED
            )
            if ending in done:
                return  # the client reconnects, to the next process
            if not done:
                yield b": still here\n\n"
                continue
            document = json.dumps(_document(services, coming.result()))
            yield f"event: state\ndata: {document}\n\n".encode()
            coming = asyncio.ensure_future(anext(changes))
    except (StopAsyncIteration, JobNotFoundError):
        return
    finally:
        coming.cancel()
        ending.cancel()
