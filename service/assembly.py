"""An application from its services: routes, and the layers that stand around them.

Layers, outermost first: RequestGuard (ids, headers, no stack traces), AmbiguityGate, CORS, KeyGate
and RateGate if they are set, BodyGate, AnswerGate, errors to problem documents, routes.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from maskzoo.service.guards.ambiguity import AmbiguityGate
from maskzoo.service.guards.answers import AnswerGate
from maskzoo.service.guards.bodies import BodyGate
from maskzoo.service.guards.keys import KeyGate
from maskzoo.service.guards.rates import RateGate, TokenBuckets
from maskzoo.service.guards.security import REQUEST_ID, RequestGuard
from maskzoo.service.inputs.bodies import base64_room
from maskzoo.service.observability.telemetry import telemetry_options
from maskzoo.service.openapi import build_openapi
from maskzoo.service.problems import missing_address, problem_of
from maskzoo.service.routes import adapters, admin, health, models, oip, pages, segment
from maskzoo.service.routes import jobs as jobs_route
from maskzoo.service.routes import metrics as metrics_route
from maskzoo.service.schemas import ProblemDocument
from maskzoo.service.settings import Settings
from maskzoo.service.state import ImageServices

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


def most_of_bodies(settings: Settings) -> int:
    """Return the bytes of all bodies that are held in memory; the largest one always fits."""
    return max(settings.body_bytes, base64_room(settings.max_bytes))


def default_rates(settings: Settings) -> TokenBuckets | None:
    """Return the buckets of clients; None where nothing limits them."""
    if settings.rate_limit is None:
        return None
    return TokenBuckets(settings.rate_limit, settings.rate_burst)


def _middleware(services: ImageServices) -> list[Middleware]:
    settings, metrics = services.settings, services.metrics
    drain = services.drain
    layers = [
        Middleware(RequestGuard, observe=metrics.request, is_leaving=lambda: drain.is_leaving),
        Middleware(AmbiguityGate),
    ]
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
        Middleware(BodyGate, settings=settings, budget=services.bodies, refused=metrics.refusal)
    )
    layers.append(
        Middleware(
            AnswerGate,
            budget=services.answers,
            within_s=settings.request_timeout_s,
            refused=metrics.refusal,
        )
    )
    return layers


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
