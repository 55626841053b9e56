"""The queue in front of the networks: which items run together, and which not at all.

Items of one bucket (same model, same size of the network's input) may share a batch. Images are
never padded to share one: pooling over the whole image, attention and the border's features see
the padding, so the answer would depend on who else was asking. Images of unequal sizes still meet
wherever the bundle resizes them to one input size.

Nothing here waits, runs or knows the time: `service.batcher` does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Item:
    """One image that waits for its network.

    Args:
        bucket: items of equal buckets may run together.
        pixels: of the network's input.
        work: what to run; the queue does not look at it.
        entered, deadline: by the caller's clock; a deadline of None never comes.
        is_gone: whether nobody waits for the answer any more.
    """

    bucket: Hashable
    pixels: int
    work: Any
    entered: float
    deadline: float | None = None
    is_gone: Callable[[], bool] = lambda: False

    def is_worth_running(self, now: float) -> bool:
        """Whether somebody waits and can still be answered in time."""
        return not self.is_gone() and (self.deadline is None or now < self.deadline)


class BatchQueue:
    """First come, first served; who is of the first one's bucket may come along.

    Args:
        max_batch_pixels: of the inputs of one batch; a larger image runs alone.
        max_batch_items: of one batch.
    """

    def __init__(self, *, max_batch_pixels: int, max_batch_items: int) -> None:
        self.max_batch_pixels = max_batch_pixels
        self.max_batch_items = max_batch_items
        self._items: list[Item] = []
        self._learned: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def pixels(self) -> int:
        """Pixels that wait."""
        return sum(item.pixels for item in self._items)

    def put(self, item: Item) -> None:
        """Let an item wait."""
        self._items.append(item)

    def take(self, now: float) -> tuple[list[Item], list[Item]]:
        """Remove and return the next batch, and the items that were dropped instead of run."""
        dropped = [item for item in self._items if not item.is_worth_running(now)]
        self._items = [item for item in self._items if item.is_worth_running(now)]
        batch = self._next_batch()
        chosen = set(map(id, batch))
        self._items = [item for item in self._items if id(item) not in chosen]
        return batch, dropped

    def patience(self, now: float, wait_s: float) -> float:
        """Return for how long the next batch should wait for company; 0 when it is full."""
        batch = self._next_batch()
        if not batch:
            return 0.0
        is_full = len(batch) >= self.max_batch_items or sum(item.pixels for item in batch) + batch[
            0
        ].pixels > self._limit(batch[0].bucket)
        return 0.0 if is_full else max(0.0, batch[0].entered + wait_s - now)

    def learn_limit(self, bucket: Hashable, pixels: int) -> None:
        """Remember that a batch of so many pixels ran out of memory: half of it is the limit."""
        self._learned[bucket] = min(self._limit(bucket), pixels // 2)

    def _limit(self, bucket: Hashable) -> int:
        return self._learned.get(bucket, self.max_batch_pixels)

    def _next_batch(self) -> list[Item]:
        if not self._items:
            return []
        first = self._items[0]
        room = self._limit(first.bucket) - first.pixels
        batch = [first]
        for item in self._items[1:]:
            if len(batch) >= self.max_batch_items:
                break
            if item.bucket == first.bucket and item.pixels <= room:
                batch.append(item)
                room -= item.pixels
        return batch
