"""The graphs of one network: one for each bucket, the least recently used go first.

A bucket that is seen for the first time runs eagerly, since capturing takes longer than a run; the
second time it is captured. Memory bounds the graphs by bytes, not by number.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar

from maskzoo.models.memory import is_out_of_memory

_log = logging.getLogger(__name__)

_BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_MOST_SEEN = 1024


class Sized(Protocol):
    """What the cache keeps."""

    @property
    def num_bytes(self) -> int:
        """Bytes of device memory that it holds."""


G = TypeVar("G", bound=Sized)


@dataclass(frozen=True)
class Bucket:
    """Runs of equal buckets are the same graph.

    Args:
        output: ``masks``, or ``logits`` at the classifier's resolution.
        batch: number of images.
        height, width: of the network's input.
    """

    output: Literal["masks", "logits"]
    batch: int
    height: int
    width: int

    def rounded(self) -> Bucket:
        """Return the bucket of the next batch size that has graphs; the last rows are unused.

        So eleven graphs serve all batches up to 64, and at most a third of a run is in vain.
        """
        return replace(
            self, batch=min((n for n in _BATCHES if n >= self.batch), default=self.batch)
        )


class GraphCache(Generic[G]):
    """Graphs by bucket; not thread-safe.

    Args:
        capture: makes the graph of a bucket.
        max_bytes: of all graphs together.
        before_drop: called before a graph is dropped; waits until the device has finished with it.
    """

    def __init__(
        self,
        capture: Callable[[Bucket], G],
        *,
        max_bytes: int,
        before_drop: Callable[[], None] = lambda: None,
    ) -> None:
        self.max_bytes = max_bytes
        self.failure: str | None = None
        self.at_once = False  # capture what is seen for the first time too
        self._capture = capture
        self._before_drop = before_drop
        self._graphs: OrderedDict[Bucket, G] = OrderedDict()
        self._seen: OrderedDict[Bucket, None] = OrderedDict()
        self._too_large: set[Bucket] = set()

    @property
    def num_bytes(self) -> int:
        """Bytes of all graphs."""
        return sum(graph.num_bytes for graph in self._graphs.values())

    @property
    def buckets(self) -> list[Bucket]:
        """The captured buckets, the least recently used first."""
        return list(self._graphs)

    def find(self, bucket: Bucket) -> G | None:
        """Return the graph of a bucket; None says to run eagerly."""
        graph = self._graphs.get(bucket)
        if graph is not None:
            self._graphs.move_to_end(bucket)
            return graph
        if bucket in self._seen or self.at_once:
            return self.prepare(bucket)
        self._seen[bucket] = None
        if len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)
        return None

    def prepare(self, bucket: Bucket) -> G | None:
        """Return the graph of a bucket, captured now if it was not; None if that cannot be done.

        A capture that runs out of memory concerns this bucket; any other failure is the network's,
        and nothing is captured from then on. `failure` says why.
        """
        if bucket in self._graphs:
            return self._graphs[bucket]
        if self.failure is not None or bucket in self._too_large:
            return None
        try:
            graph = self._capture(bucket)
        except Exception as error:  # torch, CUDA and its libraries have no common base class
            if is_out_of_memory(error):
                self._refuse(bucket, "the device's memory is full")
            else:
                self.failure = f"the network cannot be captured: {_first_line(error)}"
                _log.warning("event=graph_failed reason=%s", self.failure)
            return None
        if graph.num_bytes > self.max_bytes:
            self._refuse(bucket, f"it needs {graph.num_bytes >> 20} MiB")
            return None
        self._make_room(graph.num_bytes)
        self._graphs[bucket] = graph
        return graph

    def clear(self) -> None:
        """Drop all graphs, and forget what was seen."""
        if self._graphs:
            self._before_drop()
        self._graphs.clear()
        self._seen.clear()

    def begin_anew(self) -> None:
        """Drop all graphs, and forget what was refused: another program will be captured."""
        self.clear()
        self.failure = None
        self._too_large.clear()

    def _make_room(self, need: int) -> None:
        while self._graphs and self.num_bytes + need > self.max_bytes:
            self._before_drop()
            bucket, _ = self._graphs.popitem(last=False)
            _log.info("event=graph_dropped bucket=%s", bucket)

    def _refuse(self, bucket: Bucket, why: str) -> None:
        if len(self._too_large) >= _MOST_SEEN:
            self._too_large.clear()
        self._too_large.add(bucket)
        _log.info("event=graph_refused bucket=%s reason=%s", bucket, why)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
