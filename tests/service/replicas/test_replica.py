"""One replica, without Ray around it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from maskzoo.models.machine import Machine
from maskzoo.service.replicas.policy import BUSY, QUEUED_S
from maskzoo.service.replicas.replica import Replica, part_of_machine, replica_app
from maskzoo.service.scheduling.cost import Cost
from maskzoo.service.settings import Settings

GIB = 2**30


@pytest.mark.parametrize(
    ("machine", "assigned", "part"),
    [
        (Machine(16, 0, 64 * GIB), {"CPU": 4.0}, Machine(4, 0, 16 * GIB)),
        (Machine(16, 0, 64 * GIB), {"CPU": 0.5}, Machine(1, 0, 4 * GIB)),
        (Machine(32, 4, 256 * GIB), {"CPU": 4.0, "GPU": 1.0}, Machine(4, 1, 64 * GIB)),
        (Machine(32, 1, 64 * GIB), {"CPU": 2.0, "GPU": 0.5}, Machine(2, 1, 32 * GIB)),
        (Machine(32, 4, None), {"CPU": 8.0}, Machine(8, 0, None)),
        (Machine(2, 0, 8 * GIB), {}, Machine(1, 0, 4 * GIB)),
    ],
)
def test_a_replica_has_its_part_of_the_machine(
    machine: Machine, assigned: dict[str, float], part: Machine
) -> None:
    assert part_of_machine(machine, assigned) == part


@pytest.fixture
def app(bundles: Path, held_model) -> Iterator[FastAPI]:
    """A replica whose models load when the test lets them."""
    may_load = threading.Event()

    def load(folder: Path) -> object:
        assert may_load.wait(120)
        return held_model

    settings = Settings(bundles=(bundles,), shipped_bundles=False, jobs=False)
    app = replica_app(settings, Machine(3), load_model=load)
    app.state.may_load = may_load
    yield app
    may_load.set()


def test_a_replica_has_started_when_its_models_are_loaded(app: FastAPI, wait_until) -> None:
    services = app.state.services
    steps: list[str] = []

    async def start() -> None:
        async with app.router.lifespan_context(app):
            steps.append("started")
            assert services.manager.is_ready()

    thread = threading.Thread(target=asyncio.run, args=(start(),))
    thread.start()
    wait_until(lambda: services.manager.is_preloading)
    assert steps == []
    app.state.may_load.set()
    thread.join(120)
    assert steps == ["started"]


def test_a_replica_has_the_defaults_of_its_part(app: FastAPI) -> None:
    assert app.state.services.settings.image_threads == 2  # of 3 cores, however many there are


def test_a_replica_reports_its_queued_seconds(app: FastAPI) -> None:
    replica = Replica(app.state.services.settings)
    replica._services = services = app.state.services
    assert asyncio.run(replica.record_autoscaling_stats()) == {QUEUED_S: 0.0, BUSY: 0.0}
    with services.admission.admit(Cost(image_pixels=2**20)):
        pass  # measures the speed
    with services.admission.admit(Cost(image_pixels=2**20)):
        found = asyncio.run(replica.record_autoscaling_stats())
    assert found[BUSY] == 1
    assert found[QUEUED_S] > 0
