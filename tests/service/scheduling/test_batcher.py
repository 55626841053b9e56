"""Batches under a fake network: who runs with whom, and whose failure is whose."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Sequence

import pytest
import torch

from maskzoo.service.errors import DeadlineError, ModelMemoryError, StoppedError
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.queueing import BatchQueue


class FakeNetwork:
    """Doubles numbers; fails with `poison`, and without memory above `fits` items."""

    def __init__(self, *, poison: object = None, fits: int = 99) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._poison = poison
        self._fits = fits

    async def run(self, bucket: object, works: Sequence[int]) -> list[int]:
        self.batches.append(list(works))
        await self.gate.wait()
        if len(works) > self._fits:
            torch.empty(2**50)  # raises what torch raises on a CPU: a plain RuntimeError
        if self._poison in works:
            raise ValueError("poisoned")
        return [2 * work for work in works]


class Image:
    """An object that a weak reference may watch."""


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 120))


def batcher_of(network: FakeNetwork, **options: object) -> Batcher:
    queue = BatchQueue(max_batch_pixels=100, max_batch_items=8)
    return Batcher(network.run, queue, **options)


async def submit_behind(
    batcher: Batcher, network: FakeNetwork, works: Sequence[int], *, close: bool = True
) -> list:
    """Submit while the network is held by item 0, then let it go."""
    network.gate.clear()
    blocker = asyncio.create_task(batcher.submit("a", 0, pixels=1))
    while not network.batches:
        await asyncio.sleep(0)
    waiting = [asyncio.create_task(batcher.submit("a", work, pixels=1)) for work in works]
    await asyncio.sleep(0)
    network.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    await blocker
    if close:
        await batcher.close()
    return [one if isinstance(one, Exception) else one[0] for one in outcomes]


def test_an_idle_network_is_not_kept_waiting():
    async def scenario() -> None:
        network = FakeNetwork()
        batcher = batcher_of(network, wait_s=1000)
        assert (await batcher.submit("a", 5, pixels=1))[0] == 10
        assert network.batches == [[5]]
        await batcher.close()

    play(scenario)


def test_what_came_while_the_network_was_busy_runs_together():
    async def scenario() -> None:
        network = FakeNetwork()
        assert await submit_behind(batcher_of(network), network, [1, 2, 3]) == [2, 4, 6]
        assert network.batches == [[0], [1, 2, 3]]

    play(scenario)


def test_one_failing_item_hurts_no_neighbour():
    async def scenario() -> None:
        network = FakeNetwork(poison=2)
        first, poisoned, third = await submit_behind(batcher_of(network), network, [1, 2, 3])
        assert (first, third) == (2, 6)
        assert isinstance(poisoned, ValueError)
        assert network.batches == [[0], [1, 2, 3], [1], [2], [3]]

    play(scenario)


def test_a_batch_without_memory_is_halved_until_it_fits_and_that_is_remembered():
    async def scenario() -> None:
        network = FakeNetwork(fits=2)
        batcher = batcher_of(network)
        found = await submit_behind(batcher, network, [1, 2, 3, 4, 5, 6], close=False)
        assert found == [2, 4, 6, 8, 10, 12]
        assert max(map(len, network.batches[2:])) == 3
        before = len(network.batches)
        await submit_behind(batcher, network, [1, 2])
        assert [len(batch) for batch in network.batches[before:]] == [1, 1, 1]

    play(scenario)


def test_an_image_that_does_not_fit_alone_says_so():
    async def scenario() -> None:
        batcher = batcher_of(FakeNetwork(fits=0))
        with pytest.raises(ModelMemoryError, match="mode=resize"):
            await batcher.submit("a", 1, pixels=1)
        await batcher.close()

    play(scenario)


def test_cancelled_and_expired_items_never_reach_the_network():
    async def scenario() -> None:
        network = FakeNetwork()
        now = [0.0]
        batcher = batcher_of(network, clock=lambda: now[0])
        network.gate.clear()
        blocker = asyncio.create_task(batcher.submit("a", 0, pixels=1))
        while not network.batches:
            await asyncio.sleep(0)
        cancelled = asyncio.create_task(batcher.submit("a", 1, pixels=1))
        late = asyncio.create_task(batcher.submit("a", 2, pixels=1, deadline=5))
        good = asyncio.create_task(batcher.submit("a", 3, pixels=1, deadline=50))
        await asyncio.sleep(0)
        cancelled.cancel()
        now[0] = 6.0
        network.gate.set()
        assert (await good) == (6, 6.0)
        with pytest.raises(DeadlineError):
            await late
        await blocker
        assert network.batches == [[0], [3]]
        assert batcher.num_dropped == 2
        await batcher.close()

    play(scenario)


def test_closing_tells_who_waits_and_whose_batch_is_running():
    async def scenario() -> None:
        network = FakeNetwork()
        network.gate.clear()
        batcher = batcher_of(network)
        running = asyncio.create_task(batcher.submit("a", 0, pixels=1))
        while not network.batches:
            await asyncio.sleep(0)
        waiting = asyncio.create_task(batcher.submit("a", 1, pixels=1))
        await asyncio.sleep(0)
        await batcher.close()
        for one in (running, waiting):
            with pytest.raises(StoppedError, match="stopping"):
                await one
        assert network.batches == [[0]]

    play(scenario)


def test_after_closing_nothing_is_taken():
    async def scenario() -> None:
        batcher = batcher_of(FakeNetwork())
        await batcher.close()
        with pytest.raises(StoppedError, match="stopping"):
            await batcher.submit("a", 1, pixels=1)

    play(scenario)


def test_the_wait_ends_where_the_network_begins():
    async def scenario() -> None:
        now = 100.0
        network = FakeNetwork()
        network.gate.clear()
        batcher = batcher_of(network, clock=lambda: now)
        running = asyncio.create_task(batcher.submit("a", 1, pixels=1))
        while not network.batches:
            await asyncio.sleep(0)
        waiting = asyncio.create_task(batcher.submit("a", 2, pixels=1))
        await asyncio.sleep(0)
        now += 3
        network.gate.set()
        assert await running == (2, 0.0)
        assert await waiting == (4, 3.0)
        await batcher.close()

    play(scenario)


def test_what_fitted_is_all_of_a_batch(monkeypatch):
    async def scenario() -> None:
        network = FakeNetwork()
        batcher = batcher_of(network)
        fitted = []
        monkeypatch.setattr(
            batcher.queue.limits, "did_fit", lambda network, pixels: fitted.append(pixels)
        )
        await submit_behind(batcher, network, [1, 2, 3])
        assert network.batches == [[0], [1, 2, 3]]
        assert fitted == [1, 3]

    play(scenario)


def test_images_go_when_their_batch_is_over_and_not_with_the_next_one():
    async def scenario() -> None:
        async def run(bucket: object, works: Sequence[Image]) -> list[int]:
            return [0 for _ in works]

        batcher = Batcher(run, BatchQueue(max_batch_pixels=100, max_batch_items=8))
        image = Image()
        kept = weakref.ref(image)
        await batcher.submit("a", image, pixels=1)
        del image
        gc.collect()
        assert kept() is None
        await batcher.close()

    play(scenario)
