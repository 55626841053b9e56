"""State shared by the routes: built by the app factory, injected as a dependency.

The parts are imported for the type checker only: a route imports the parts that it works with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Path, Request

from maskzoo.service.schemas import MAX_NAME

if TYPE_CHECKING:
    from maskzoo.service.answering.answerer import Answerer
    from maskzoo.service.bundles.manager import ModelManager
    from maskzoo.service.bundles.stalls import StallWatch
    from maskzoo.service.decoding.pool import Decoder
    from maskzoo.service.jobs.runner import Jobs
    from maskzoo.service.observability.metrics import Metrics
    from maskzoo.service.observability.sampling import Sampler
    from maskzoo.service.scheduling.admission import Admission
    from maskzoo.service.scheduling.batcher import Batcher
    from maskzoo.service.scheduling.draining import Drain
    from maskzoo.service.scheduling.workers import Workers
    from maskzoo.service.settings import Settings


@dataclass(frozen=True)
class Services:
    """The parts of one running service."""

    settings: Settings
    manager: ModelManager
    stalls: StallWatch
    workers: Workers
    decoder: Decoder
    admission: Admission
    batcher: Batcher
    answerer: Answerer
    drain: Drain
    jobs: Jobs
    metrics: Metrics
    sampler: Sampler


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def _request_id(request: Request) -> str:
    return cast(str, request.state.request_id)


def _owner(request: Request) -> str:
    """Return the owner of a request: the id of its API key, or nothing if keys are off."""
    return cast(str, getattr(request.state, "api_key", None) or "")


ModelName = Annotated[
    str, Path(max_length=MAX_NAME, description="A model, `name@version`, or an alias.")
]
ServicesDep = Annotated[Services, Depends(_services)]
RequestId = Annotated[str, Depends(_request_id)]
Owner = Annotated[str, Depends(_owner)]
