"""The application factory: `uvicorn --factory maskzoo.service.app:create_app`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from maskzoo.models.machine import Machine, measure_machine
from maskzoo.service.answering.answerer import Answerer
from maskzoo.service.answering.network import LocalDesk
from maskzoo.service.assembly import build_app, default_rates, most_of_bodies, routers_of
from maskzoo.service.bundles.administration import Administration, MakeAdministration
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.bundles.opening import open_bundle
from maskzoo.service.bundles.segmenter import LoadModel
from maskzoo.service.bundles.stalls import StallWatch
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.jobs.life import OnFault
from maskzoo.service.jobs.runner import Jobs
from maskzoo.service.jobs.work import JobWorker
from maskzoo.service.machine import decide, limit_threads, name_device
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.observability.sampling import Sampler
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.budget import MakeBudget, alone
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.scheduling.draining import Drain
from maskzoo.service.scheduling.heap import keep_small, limit_arenas
from maskzoo.service.scheduling.network import run_batch
from maskzoo.service.scheduling.pace import BatchPace
from maskzoo.service.scheduling.queueing import BatchQueue
from maskzoo.service.scheduling.workers import Workers
from maskzoo.service.settings import Settings
from maskzoo.service.state import Services


def create_app(
    settings: Settings | None = None,
    *,
    load_model: LoadModel | None = None,
    on_fault: OnFault | None = None,
    make_budget: MakeBudget = alone,
    make_admin: MakeAdministration = Administration,
    machine: Machine | None = None,
) -> FastAPI:
    """Build the service.

    Args:
        settings: by default from the environment.
        load_model: loads a predictor from a bundle's folder; by default the real loader.
        on_fault: has faults of the process written to a file; see `service.jobs.life`.
        make_budget: makes the budgets of bytes; by default for this process alone.
        make_admin: makes what changes the models; by default for this process alone.
        machine: what the service may use; by default measured.
    """
    settings = settings or Settings()
    load = load_model or _default_loader(settings)
    machine = machine or measure_machine(settings.device)
    limit_threads(machine)
    services = _services(
        decide(settings, machine), machine, load, on_fault, make_budget, make_admin
    )
    return build_app(services, routers_of(settings), _lifespan)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    limit_arenas()  # before the threads of loads and requests begin
    if services.settings.preload:
        services.manager.preload()
    watching = asyncio.create_task(services.manager.watch(services.settings.reload_s))
    if services.settings.jobs:
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
    machine: Machine,
    load: LoadModel,
    on_fault: OnFault | None,
    make_budget: MakeBudget,
    make_admin: MakeAdministration,
) -> Services:
    metrics = Metrics(name_device(settings.device, machine))
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
        admin=make_admin(manager),
        stalls=stalls,
        workers=workers,
        decoder=decoder,
        admission=admission,
        batcher=batcher,
        answerer=answerer,
        drain=Drain(settings.shutdown_s, stop_admission, stop_work, leave_s=settings.leave_s),
        jobs=jobs,
        rates=default_rates(settings),
        bodies=make_budget("bodies", most_of_bodies(settings)),
        answers=make_budget("answers", settings.answer_bytes),
        metrics=metrics,
        sampler=Sampler(metrics, manager, batcher, admission),
    )


def _default_loader(settings: Settings) -> LoadModel:
    return partial(open_bundle, engine=settings.engine, device=settings.device)
