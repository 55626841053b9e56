"""State shared by the routes: built by the app factory, injected as a dependency.

The parts are imported for the type checker only: a route imports the parts that it works with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, cast

from fastapi import Depends, Path, Request

from maskzoo.service.schemas import MAX_NAME

if TYPE_CHECKING:
    from maskzoo.service.answering.answerer import Answerer
    from maskzoo.service.bundles.administration import Administration
    from maskzoo.service.bundles.entries import LoadedModel
    from maskzoo.service.bundles.manager import ModelManager
    from maskzoo.service.bundles.stalls import StallWatch
    from maskzoo.service.decoding.pool import Decoder
    from maskzoo.service.guards.rates import Rates
    from maskzoo.service.jobs.runner import Jobs
    from maskzoo.service.observability.metrics import Metrics
    from maskzoo.service.observability.sampling import Sampler
    from maskzoo.service.scheduling.admission import Admission
    from maskzoo.service.scheduling.batcher import Batcher
    from maskzoo.service.scheduling.budget import ByteBudget
    from maskzoo.service.scheduling.draining import Drain
    from maskzoo.service.scheduling.workers import Workers
    from maskzoo.service.settings import Settings


class ModelSource(Protocol):
    """Where a request gets its model from."""

    async def get(self, name: str | None = None) -> LoadedModel:
        """Return a model, as `service.bundles.manager.ModelManager` does."""
        ...


class Door(Protocol):
    """The admission, as far as a request asks before its image is known."""

    def check(self) -> None:
        """Raise if there is no room, as `service.scheduling.admission.Admission` does."""
        ...


@dataclass(frozen=True)
class ImageServices:
    """The parts that routes of images work with; a front process has these.

    Args:
        rates: None where there are no limits.
        bodies, answers: budgets of the bytes that are held of them.
    """

    settings: Settings
    manager: ModelSource
    workers: Workers
    decoder: Decoder
    admission: Door
    answerer: Answerer
    drain: Drain
    rates: Rates | None
    bodies: ByteBudget
    answers: ByteBudget
    metrics: Metrics


@dataclass(frozen=True)
class Services(ImageServices):
    """The parts of one running service."""

    manager: ModelManager
    admin: Administration
    admission: Admission
    stalls: StallWatch
    batcher: Batcher
    jobs: Jobs
    sampler: Sampler


def _image_services(request: Request) -> ImageServices:
    return cast(ImageServices, request.app.state.services)


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
ImageServicesDep = Annotated[ImageServices, Depends(_image_services)]
RequestId = Annotated[str, Depends(_request_id)]
Owner = Annotated[str, Depends(_owner)]
