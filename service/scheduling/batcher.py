"""The batcher: runs the items of a `BatchQueue` in batches, each with its own outcome.

A batch starts at once if the network is idle. While the network is busy, items collect in the
queue, and a batch that is not full waits at most `wait_s` longer. If a batch fails, its items run
one by one, so that only the faulty one fails. If memory runs out, the batch is halved, and the
limit of its network is lowered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any

from maskzoo.models.memory import is_out_of_memory
from maskzoo.service.errors import DeadlineError, ModelMemoryError, StoppedError
from maskzoo.service.scheduling.queueing import BatchQueue, Item

logger = logging.getLogger(__name__)

RunBatch = Callable[[Hashable, list[Any]], Awaitable[Sequence[Any]]]
"""Runs items of one bucket; returns one result for each."""


class Batcher:
    """Runs single items in batches.

    Args:
        run: runs one batch; called from the event loop, so it must hand its work to a thread.
        workers: batches that run at the same time.
        wait_s: how long a batch that is not full waits for more items, if the network was busy.
        clock: seconds; deadlines are on this clock.
    """

    def __init__(
        self,
        run: RunBatch,
        queue: BatchQueue,
        *,
        workers: int = 1,
        wait_s: float = 0.003,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue = queue
        self.num_dropped = 0
        self._run = run
        self._num_workers = workers
        self._wait_s = wait_s
        self._clock = clock
        self._arrived = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []
        self._is_closed = False

    async def submit(
        self,
        bucket: Hashable,
        work: Any,
        *,
        pixels: int,
        deadline: float | None = None,
        network: Hashable = None,
    ) -> tuple[Any, float]:
        """Run `work` in a batch of its bucket; return the result and the seconds that it waited.

        Cancelling the caller removes the item from the queue. See `Item` for the arguments.

        Raises:
            StoppedError: `close` was called.
            DeadlineError: the deadline passed before the item ran.
            ModelMemoryError: the item does not fit into memory even alone.
            Exception: whatever `run` raised for this item alone.
        """
        if self._is_closed:
            raise StoppedError("the service is stopping")
        self._start()
        answer: asyncio.Future[tuple[Any, float]] = asyncio.get_running_loop().create_future()
        item = Item(
            bucket=bucket,
            pixels=pixels,
            work=(work, answer),
            entered=self._clock(),
            deadline=deadline,
            is_gone=answer.done,
            network=network,
        )
        self.queue.put(item)
        self._arrived.set()
        return await answer

    async def close(self) -> None:
        """Stop the workers; items that wait, run or arrive later get a StoppedError."""
        self._is_closed = True
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []
        while len(self.queue):
            batch, dropped = self.queue.take(self._clock())
            for item in [*batch, *dropped]:
                _fail(item, StoppedError("the service is stopping"))

    def _start(self) -> None:
        if not self._workers:
            self._workers = [
                asyncio.create_task(self._work(), name=f"batches {number}")
                for number in range(self._num_workers)
            ]

    async def _work(self) -> None:
        was_busy = False
        while True:
            while not len(self.queue):
                was_busy = False
                self._arrived.clear()
                await self._arrived.wait()
            if was_busy:
                patience = self.queue.patience(self._clock(), self._wait_s)
                if patience > 0:
                    await asyncio.sleep(patience)
            was_busy = await self._run_next() or was_busy

    async def _run_next(self) -> bool:
        """Run the next batch; return whether there was one.

        Not in the loop of `_work`, whose variables would keep the images until the next batch.
        """
        batch, dropped = self.queue.take(self._clock())
        for item in dropped:
            self._drop(item)
        if batch:
            await self._serve(batch, self._clock())
        return bool(batch)

    def _drop(self, item: Item) -> None:
        self.num_dropped += 1
        _fail(
            item, DeadlineError("the deadline passed while the image was waiting for the network")
        )

    async def _serve(self, batch: list[Item], started: float) -> None:
        bucket, began = batch[0].bucket, self._clock()
        try:
            results = await self._run(bucket, [item.work[0] for item in batch])
            assert len(results) == len(batch), "one result for each item"
        except asyncio.CancelledError:
            for item in batch:
                _fail(item, StoppedError("the service is stopping"))
            raise
        except Exception as error:
            await self._recover(batch, started, error)
            return
        self.queue.did_run(batch, start=began, end=self._clock())
        for item, result in zip(batch, results, strict=True):
            if not item.is_gone():
                item.work[1].set_result((result, started - item.entered))

    async def _recover(self, batch: list[Item], started: float, error: Exception) -> None:
        """Run the items of a failed batch in smaller batches; a single item fails for good."""
        ran_out = is_out_of_memory(error)
        if ran_out:
            pixels = sum(item.pixels for item in batch)
            self.queue.limits.ran_out(batch[0].network, pixels)
        if len(batch) == 1:
            _fail(batch[0], ModelMemoryError(batch[0].pixels) if ran_out else error)
            return
        logger.warning("event=batch_failed items=%d error=%r", len(batch), error)
        size = -(-len(batch) // 2) if ran_out else 1
        for first in range(0, len(batch), size):
            part = [
                item for item in batch[first : first + size] if item.is_worth_running(self._clock())
            ]
            for item in batch[first : first + size]:
                if item not in part:
                    self._drop(item)
            if part:
                await self._serve(part, started)


def _fail(item: Item, error: Exception) -> None:
    if not item.is_gone():
        item.work[1].set_exception(error)
