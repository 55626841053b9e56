"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from maskzoo.service.observability.metrics import CONTENT_TYPE
from maskzoo.service.state import ServicesDep

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(services: ServicesDep) -> Response:
    """Requests, images, stages, batches, queues and models, in Prometheus' text form."""
    services.sampler.sample()
    return Response(
        services.metrics.render(),
        headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"},
    )
