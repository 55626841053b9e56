"""The queue in front of the networks: forms batches, and drops expired items.

Items of one bucket (same model, same size of the network's input) may share a batch. Images are
never padded to fit a batch: pooling over the whole image, attention and features at the border see
the padding, so an answer would depend on the other requests. Padding odd sizes to multiples of 32
changes the class of 1 to 15 % of the pixels with the shipped bundles (`benchmarks/padding.py`).
Images of different sizes still share a batch where the bundle resizes them to one input size, and
huge images as tiles of one size.

This module neither waits nor runs anything and does not read a clock: `service.scheduling.batcher`
does.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from maskzoo.service.scheduling.pace import BatchPace

_MAX_NETWORKS = 256
_BATCHES_TO_GROW = 64


@dataclass(eq=False)
class Item:
    """One image that waits for its network.

    Args:
        bucket: items with equal buckets may run in one batch.
        network: the network that runs them; its limit of pixels applies to all its buckets.
        pixels: of the network's input.
        work: what to run; opaque to the queue.
        entered, deadline: on the caller's clock; None means no deadline.
        is_gone: whether the client has stopped waiting.
    """

    bucket: Hashable
    pixels: int
    work: Any
    entered: float
    deadline: float | None = None
    is_gone: Callable[[], bool] = lambda: False
    network: Hashable = None

    def is_worth_running(self, now: float) -> bool:
        """Whether a client is waiting and can still be answered in time."""
        return not self.is_gone() and (self.deadline is None or now < self.deadline)

    @property
    def pace_key(self) -> Hashable:
        """The batches that are as fast as this item's; it keeps nothing of the bucket alive."""
        return self.network, type(self.bucket), self.pixels


class PixelLimits:
    """The limit of pixels in one batch, for each network.

    A batch that runs out of memory halves the limit of its network. The memory may have been
    filled by something else, so after many batches close to the limit it grows by a quarter.

    Args:
        most: the limit of a network that never ran out of memory.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._limits: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()  # limit, good batches

    def of(self, network: Hashable) -> int:
        """Return the limit of a network."""
        return self._limits.get(network, (self.most, 0))[0]

    def ran_out(self, network: Hashable, pixels: int) -> None:
        """Lower the limit after a batch of `pixels` that did not fit into memory."""
        self._limits[network] = (min(self.of(network), pixels // 2), 0)
        self._limits.move_to_end(network)
        if len(self._limits) > _MAX_NETWORKS:
            self._limits.popitem(last=False)

    def did_fit(self, network: Hashable, pixels: int) -> None:
        """Count a batch of `pixels` that fitted; enough of them raise a lowered limit."""
        if network not in self._limits:
            return
        limit, good = self._limits[network]
        good += 2 * pixels > limit
        if good >= _BATCHES_TO_GROW:
            limit, good = limit + max(1, limit // 4), 0
        if limit >= self.most:
            del self._limits[network]
        else:
            self._limits[network] = (limit, good)


class BatchQueue:
    """First come, first served; later items of the first one's bucket join its batch.

    Args:
        max_batch_pixels: of the inputs of one batch; a larger image runs alone.
        max_batch_items: of one batch.
        pace: learns how many items pay in one batch; None always takes the most.
    """

    def __init__(
        self, *, max_batch_pixels: int, max_batch_items: int, pace: BatchPace | None = None
    ) -> None:
        self.limits = PixelLimits(max_batch_pixels)
        self.max_batch_items = max_batch_items
        self.pace = pace
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    @property
    def pixels(self) -> int:
        """Pixels of the items in the queue."""
        return sum(item.pixels for item in self._items)

    def put(self, item: Item) -> None:
        """Add an item."""
        self._items.append(item)

    def take(self, now: float) -> tuple[list[Item], list[Item]]:
        """Remove and return the next batch, and the items that are no longer worth running."""
        dropped = [item for item in self._items if not item.is_worth_running(now)]
        self._items = [item for item in self._items if item.is_worth_running(now)]
        batch = self._next_batch(now)
        chosen = set(map(id, batch))
        self._items = [item for item in self._items if id(item) not in chosen]
        return batch, dropped

    def patience(self, now: float, wait_s: float) -> float:
        """Return how long the next batch should wait for more items; 0 if it is full."""
        batch = self._next_batch(now)
        if not batch:
            return 0.0
        is_full = len(batch) >= self._most_items(batch[0], now) or sum(
            item.pixels for item in batch
        ) + batch[0].pixels > self.limits.of(batch[0].network)
        return 0.0 if is_full else max(0.0, batch[0].entered + wait_s - now)

    def did_run(self, batch: Sequence[Item], *, start: float, end: float) -> None:
        """Learn from a batch that ran from `start` to `end`."""
        self.limits.did_fit(batch[0].network, sum(item.pixels for item in batch))
        if self.pace is not None:
            self.pace.observe(batch[0].pace_key, len(batch), start=start, end=end)

    def _most_items(self, first: Item, now: float) -> int:
        if self.pace is None:
            return self.max_batch_items
        within_s = math.inf if first.deadline is None else first.deadline - now
        return min(self.max_batch_items, self.pace.limit(first.pace_key, within_s=within_s))

    def _next_batch(self, now: float) -> list[Item]:
        if not self._items:
            return []
        first = self._items[0]
        most = self._most_items(first, now)
        room = self.limits.of(first.network) - first.pixels
        batch = [first]
        for item in self._items[1:]:
            if len(batch) >= most:
                break
            if item.bucket == first.bucket and item.pixels <= room:
                batch.append(item)
                room -= item.pixels
        return batch
