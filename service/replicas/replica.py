"""One replica: the application of `maskzoo serve` with the cores or the GPU that Ray gives it."""

from __future__ import annotations

import asyncio
import faulthandler
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from starlette.types import Lifespan

from maskzoo.models.machine import Machine, measure_machine
from maskzoo.service.bundles.segmenter import LoadModel
from maskzoo.service.observability.logs import configure
from maskzoo.service.replicas.edge import BehindRay
from maskzoo.service.replicas.policy import BUSY, QUEUED_S
from maskzoo.service.settings import Settings
from maskzoo.service.state import Services

_POLL_S = 0.05


class Replica:
    """The class that Ray Serve deploys, around the application.

    Args:
        settings: of the service on Ray; see `options.ray_settings`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application in the process of the replica; nothing of it travels."""
        import ray

        configure(self._settings.log_level, self._settings.log_format)
        assigned = ray.get_runtime_context().get_assigned_resources()
        machine = part_of_machine(measure_machine(self._settings.device), assigned)
        app = replica_app(self._settings, machine)
        self._services: Services = app.state.services
        return app

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Report what `policy.QueuedSeconds` counts; Ray asks every second."""
        admission = self._services.admission
        return {QUEUED_S: admission.wait_s(), BUSY: float(admission.pixels > 0)}


def replica_app(
    settings: Settings, machine: Machine, *, load_model: LoadModel | None = None
) -> FastAPI:
    """Build the application of a replica.

    Ray routes requests to a replica as soon as its start is over, so the start waits for the
    models; the old replicas of a rolling update answer meanwhile.

    Args:
        machine: what the replica may use.
        load_model: as of `service.app.create_app`.
    """
    from maskzoo.service.app import create_app  # with torch, which who deploys does without

    app = create_app(settings, load_model=load_model, on_fault=faulthandler.enable, machine=machine)
    app.add_middleware(BehindRay)
    app.router.lifespan_context = _with_models(app.router.lifespan_context)
    return app


def part_of_machine(machine: Machine, assigned: Mapping[str, float]) -> Machine:
    """Return what one replica may use of a machine, so that several fit beside each other.

    Args:
        assigned: by Ray: `CPU` and `GPU`. Of memory the replica has the part that it has of the
            cores, or of the GPUs.
    """
    cores = min(machine.cores, max(1, math.ceil(assigned.get("CPU", 1))))
    gpus = assigned.get("GPU", 0.0)
    fraction = min(1.0, gpus / machine.gpus) if gpus and machine.gpus else cores / machine.cores
    memory = machine.memory_bytes
    return replace(
        machine,
        cores=cores,
        gpus=min(machine.gpus, math.ceil(gpus)),
        memory_bytes=None if memory is None else int(memory * fraction),
    )


def _with_models(inner: Lifespan[FastAPI]) -> Lifespan[Any]:
    """Return a lifespan whose start also waits until no model is being preloaded."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services: Services = app.state.services
        async with inner(app):
            while services.manager.is_preloading:
                await asyncio.sleep(_POLL_S)
            yield

    return lifespan
