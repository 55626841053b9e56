"""The queue in front of the networks: forms batches, and drops expired items.

Items of one bucket (same model, same size of the network's input) may share a batch. Images are
never padded to share one: pooling over the whole image, attention and the border's features see
the padding, so the answer would depend on who else was asking: padding odd sizes to multiples of
32 changes 1 to 15 % of the pixels' classes with the shipped bundles (`benchmarks/padding.py`).
Images of unequal sizes still meet wherever the bundle resizes them to one input size, and huge
ones as tiles of one size.

Nothing here waits, runs or knows the time: `service.scheduling.batcher` does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

_MAX_NETWORKS = 256
_BATCHES_TO_GROW = 64


@dataclass(eq=False)
class Item:
    """One image that waits for its network.

    Args:
        bucket: items of equal buckets may run together.
        network: what runs them; batches of one network share what was learned about its memory.
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
    network: Hashable = None

    def is_worth_running(self, now: float) -> bool:
        """Whether somebody waits and can still be answered in time."""
        return not self.is_gone() and (self.deadline is None or now < self.deadline)


class PixelLimits:
    """How many pixels each network takes in one batch, as far as that was found out.

    A batch that runs out of memory halves the limit of its network. Something else may have
    filled the memory then, so after many batches near the limit it grows again, by a quarter.

    Args:
        most: the limit of a network that nothing is known of.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._limits: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()  # limit, good batches

    def of(self, network: Hashable) -> int:
        """Return the limit of a network."""
        return self._limits.get(network, (self.most, 0))[0]

    def ran_out(self, network: Hashable, pixels: int) -> None:
        """Remember that a batch of so many pixels did not fit."""
        self._limits[network] = (min(self.of(network), pixels // 2), 0)
        self._limits.move_to_end(network)
        if len(self._limits) > _MAX_NETWORKS:
            self._limits.popitem(last=False)

    def did_fit(self, network: Hashable, pixels: int) -> None:
        """Remember that a batch of so many pixels went well."""
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
    """First come, first served; who is of the first one's bucket may come along.

    Args:
        max_batch_pixels: of the inputs of one batch; a larger image runs alone.
        max_batch_items: of one batch.
    """

    def __init__(self, *, max_batch_pixels: int, max_batch_items: int) -> None:
        self.limits = PixelLimits(max_batch_pixels)
        self.max_batch_items = max_batch_items
        self._items: list[Item] = []

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
        ].pixels > self.limits.of(batch[0].network)
        return 0.0 if is_full else max(0.0, batch[0].entered + wait_s - now)

    def _next_batch(self) -> list[Item]:
        if not self._items:
            return []
        first = self._items[0]
        room = self.limits.of(first.network) - first.pixels
        batch = [first]
        for item in self._items[1:]:
            if len(batch) >= self.max_batch_items:
                break
            if item.bucket == first.bucket and item.pixels <= room:
                batch.append(item)
                room -= item.pixels
        return batch
