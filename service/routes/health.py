"""Liveness and readiness probes; they answer HEAD too, which many monitors send."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from maskzoo.service.schemas import Health, Readiness
from maskzoo.service.state import ServicesDep

router = APIRouter(tags=["health"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Health:
    """Answers even while models load and networks run; if it does not, restart the process."""
    return Health()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Can the service work?",
    responses={200: {"model": Readiness}, 503: {"model": Readiness}},
)
async def readyz(services: ServicesDep) -> Response:
    """200 once a model can be used and none is being preloaded; 503 before, and at the end."""
    manager = services.manager
    ready = manager.is_ready() and not services.drain.is_leaving
    body = Readiness(
        ready=ready, models={entry.name: entry.state for entry in manager.entries.values()}
    )
    headers = {} if ready else {"Retry-After": "1"}
    return JSONResponse(body.model_dump(), status_code=200 if ready else 503, headers=headers)
