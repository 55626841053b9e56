"""The application factory: `uvicorn --factory maskzoo.service.app:create_app`.

Layers, outermost first: RequestGuard (ids, headers, no stack traces), AmbiguityGate, CORS, KeyGate
and RateGate if they are set, BodyGate, errors to problem documents, routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Lifespan

from maskzoo.models.errors import ZooError
from maskzoo.models.machine import measure_machine
from maskzoo.service.answering.answerer import Answerer
from maskzoo.service.answering.network import LocalDesk
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.bundles.opening import open_bundle
from maskzoo.service.bundles.segmenter import LoadModel
from maskzoo.service.bundles.stalls import StallWatch
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.guards.ambiguity import AmbiguityGate
from maskzoo.service.guards.answers import AnswerGate
from maskzoo.service.guards.bodies import BodyGate
from maskzoo.service.guards.keys import KeyGate
from maskzoo.service.guards.rates import RateGate, TokenBuckets
from maskzoo.service.guards.security import REQUEST_ID, RequestGuard
from maskzoo.service.inputs.bodies import base64_room
from maskzoo.service.jobs.life import OnFault
from maskzoo.service.jobs.runner import Jobs
from maskzoo.service.jobs.work import JobWorker
from maskzoo.service.machine import decide, limit_threads
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.observability.sampling import Sampler
from maskzoo.service.observability.telemetry import telemetry_options
from maskzoo.service.openapi import build_openapi
from maskzoo.service.problems import missing_address, problem_of
from maskzoo.service.routes import adapters, admin, health, models, oip, pages, segment
from maskzoo.service.routes import jobs as jobs_route
from maskzoo.service.routes import metrics as metrics_route
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.budget import ByteBudget
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.scheduling.draining import Drain
from maskzoo.service.scheduling.heap import keep_small, limit_arenas
from maskzoo.service.scheduling.network import run_batch
from maskzoo.service.scheduling.pace import BatchPace
from maskzoo.service.scheduling.queueing import BatchQueue
from maskzoo.service.scheduling.workers import Workers
from maskzoo.service.schemas import ProblemDocument
from maskzoo.service.settings import Settings
from maskzoo.service.state import ImageServices, Services

DESCRIPTION = """\
Semantic segmentation over HTTP: an image in, its mask out, in the format that you ask for.

Errors are problem documents (RFC 9457, `application/problem+json`) with the member `error`
repeating the detail. Each answer carries an `X-Request-ID`; send your own to find it again.
"""

_EXPOSED_HEADERS = [
    REQUEST_ID,
    "Server-Timing",
    "Maskzoo-Model",
    "Maskzoo-Classes",
    "Maskzoo-Classes-Left-Out",
    "Location",
    "Retry-After",
]
_REFUSALS = (ZooError, HTTPException, RequestValidationError)
"""What is answered by a problem document without a line in the log."""


def create_app(
    settings: Settings | None = None,
    *,
    load_model: LoadModel | None = None,
    on_fault: OnFault | None = None,
    make_budget: Callable[[int], ByteBudget] = ByteBudget,
) -> FastAPI:
    """Build the service.

    Args:
        settings: by default from the environment.
        load_model: loads a predictor from a bundle's folder; by default the real loader.
        on_fault: has faults of the process written to a file; see `service.jobs.life`.
        make_budget: makes the budget of so many bytes of bodies; by default for this process alone.
    """
    settings = settings or Settings()
    load = load_model or _default_loader(settings)
    services = _services(settings, load, on_fault, make_budget)
    return build_app(services, routers_of(settings), _lifespan)


def routers_of(settings: Settings) -> list[APIRouter]:
    """Return the routes of a service with these settings."""
    parts = [segment, jobs_route, models, health, metrics_route, oip, adapters, pages]
    if settings.admin_token is not None:
        parts.append(admin)
    return [part.router for part in parts]


def build_app(
    services: ImageServices, routers: Sequence[APIRouter], lifespan: Lifespan[FastAPI]
) -> FastAPI:
    """Build an application of some routes, with the layers that stand around them."""
    settings = services.settings
    app = FastAPI(
        title="maskzoo",
        version=_version(),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=_middleware(services),
        telemetry=telemetry_options(settings.telemetry),
        exception_handlers=dict.fromkeys(_REFUSALS, _answer_problem),
        responses={"default": {"model": ProblemDocument, "description": "A problem document."}},
    )
    app.openapi = partial(build_openapi, app)  # type: ignore[method-assign]
    services.metrics.build(_version())
    app.state.services = services
    for router in routers:
        app.include_router(router)
    pages.mount_files(app)
    return app


def default_budget(settings: Settings) -> int:
    """Return the bytes of all bodies that are held in memory; the largest one always fits."""
    return max(settings.body_bytes, base64_room(settings.max_bytes))


def default_rates(settings: Settings) -> TokenBuckets | None:
    """Return the buckets of clients; None where nothing limits them."""
    if settings.rate_limit is None:
        return None
    return TokenBuckets(settings.rate_limit, settings.rate_burst)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    limit_arenas()  # before the threads of loads and requests begin
    if services.settings.preload:
        services.manager.preload()
    watching = asyncio.create_task(services.manager.watch(services.settings.reload_s))
    with services.stalls.over("start", services.settings.job_folder):
        await services.jobs.start()
    sampling = asyncio.create_task(services.sampler.run())
    trimming = asyncio.create_task(keep_small())
    with services.drain.on_signals():
        yield
    services.drain.close()
    watching.cancel()
    sampling.cancel()
    trimming.cancel()
    await services.jobs.close()
    await services.batcher.close()
    services.manager.close()
    services.decoder.close()
    services.workers.close()
    services.metrics.close()


def _services(
    settings: Settings,
    load: LoadModel,
    on_fault: OnFault | None,
    make_budget: Callable[[int], ByteBudget],
) -> Services:
    machine = measure_machine(settings.device)
    settings = decide(settings, machine)
    limit_threads(machine)
    metrics = Metrics()
    workers = Workers(
        image_threads=settings.image_threads, network_threads=settings.network_threads
    )
    stalls = StallWatch(settings.stall_s)
    manager = ModelManager(
        settings.bundle_folders,
        load=stalls.watched(load),
        default=settings.default_model,
        wait_s=settings.load_wait_s,
        max_bytes=settings.model_bytes,
        pinned=settings.pinned_models,
        aliases=settings.aliases,
    )
    batcher = Batcher(
        metrics.counted(partial(run_batch, workers)),
        BatchQueue(
            max_batch_pixels=settings.batch_pixels,
            max_batch_items=settings.batch_items,
            pace=BatchPace(most=settings.batch_items, batch_s=settings.batch_s),
        ),
        workers=settings.network_threads,
        wait_s=settings.batch_wait_s,
    )
    admission = Admission(settings.queue_pixels, max_wait_s=settings.queue_s)
    decoder = Decoder(settings.image_threads, limit_s=settings.decode_s)
    desk = LocalDesk(workers, admission, batcher, metrics)
    answerer = Answerer(workers, desk, metrics, settings.job_max_pixels, decoder)
    worker = JobWorker(
        manager,
        batcher,
        threads=settings.job_threads,
        limits=CostLimits.of(settings, is_job=True),
        decoder=decoder,
    )
    jobs = Jobs(settings, worker, on_fault=on_fault)

    def stop_admission() -> None:
        admission.close()
        jobs.stop()

    async def stop_work() -> None:
        decoder.close()
        await batcher.close()

    return Services(
        settings=settings,
        manager=manager,
        stalls=stalls,
        workers=workers,
        decoder=decoder,
        admission=admission,
        batcher=batcher,
        answerer=answerer,
        drain=Drain(settings.shutdown_s, stop_admission, stop_work),
        jobs=jobs,
        rates=default_rates(settings),
        budget=make_budget(default_budget(settings)),
        metrics=metrics,
        sampler=Sampler(metrics, manager, batcher),
    )


def _middleware(services: ImageServices) -> list[Middleware]:
    settings, metrics = services.settings, services.metrics
    layers = [Middleware(RequestGuard, observe=metrics.request), Middleware(AmbiguityGate)]
    if settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.cors_origins),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Content-Type", "Authorization", "X-API-Key", REQUEST_ID],
                expose_headers=_EXPOSED_HEADERS,
            )
        )
    if settings.api_keys:
        layers.append(Middleware(KeyGate, hashes=settings.api_keys))
    if services.rates is not None:
        layers.append(Middleware(RateGate, rates=services.rates, refused=metrics.refusal))
    layers.append(
        Middleware(BodyGate, settings=settings, budget=services.budget, refused=metrics.refusal)
    )
    layers.append(
        Middleware(
            AnswerGate,
            budget=ByteBudget(settings.answer_bytes),
            within_s=settings.request_timeout_s,
            refused=metrics.refusal,
        )
    )
    return layers


def _default_loader(settings: Settings) -> LoadModel:
    return partial(
        open_bundle,
        engine=settings.engine,
        device=settings.device,
        max_int8_loss=settings.max_int8_loss,
    )


async def _answer_problem(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if isinstance(error, HTTPException) and error.status_code == 404:
        problem = missing_address(request.url.path, request.app.openapi()["paths"])
    request.app.state.services.metrics.refusal(problem.kind.slug)
    return problem.response(path=request.url.path, request_id=request.state.request_id)


def _version() -> str:
    try:
        return version("maskzoo")
    except PackageNotFoundError:
        return "0"
