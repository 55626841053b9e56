"""Thread pools: what blocks one kind of work does not block another."""

from __future__ import annotations

import asyncio
import threading

import pytest

from maskzoo.service.scheduling.workers import Workers


def test_each_kind_of_work_has_threads_of_its_own():
    async def scenario() -> list[str]:
        workers = Workers(image_threads=1, network_threads=1)
        gate = threading.Event()
        held = [
            asyncio.create_task(run(gate.wait, 120)) for run in (workers.on_image, workers.on_tiles)
        ]
        await asyncio.sleep(0)
        name = await workers.on_network(lambda: threading.current_thread().name)
        gate.set()
        assert await asyncio.gather(*held) == [True, True]
        workers.close()
        return name

    assert asyncio.run(scenario()).startswith("network")


@pytest.mark.parametrize("waits_in", ["on_image", "on_tiles"])
def test_a_walk_over_tiles_and_an_image_do_not_wait_for_each_other(waits_in):
    async def scenario() -> None:
        workers = Workers(image_threads=1, network_threads=1)
        gate = threading.Event()
        runs = {"on_image": workers.on_image, "on_tiles": workers.on_tiles}
        waiting = asyncio.create_task(runs.pop(waits_in)(gate.wait, 120))
        await asyncio.sleep(0)
        (other,) = runs.values()
        await asyncio.wait_for(other(int), 120)
        gate.set()
        assert await waiting
        workers.close()

    asyncio.run(scenario())


def test_as_many_images_as_threads_run_at_the_same_time():
    async def scenario() -> None:
        workers = Workers(image_threads=2, network_threads=1)
        both = threading.Barrier(2)
        await asyncio.gather(*(workers.on_image(both.wait, 120) for _ in range(2)))
        workers.close()

    asyncio.run(scenario())


def test_arguments_and_errors_pass_through():
    async def scenario() -> None:
        workers = Workers(image_threads=1, network_threads=1)
        assert await workers.on_image(int, "ff", base=16) == 255
        with pytest.raises(ValueError, match="invalid literal"):
            await workers.on_image(int, "x")
        workers.close()

    asyncio.run(scenario())


def test_work_that_has_not_started_is_cancelled_at_the_end():
    async def scenario() -> None:
        workers = Workers(image_threads=1, network_threads=1)
        gate, started = threading.Event(), threading.Event()

        def hold() -> bool:
            started.set()
            return gate.wait(120)

        running = asyncio.create_task(workers.on_image(hold))
        await asyncio.to_thread(started.wait, 120)
        waiting = asyncio.create_task(workers.on_image(int))
        await asyncio.sleep(0)
        workers.close()
        gate.set()
        assert await running is True
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scenario())
