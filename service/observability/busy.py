"""The time in which a device has work, by model."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class BusyTime:
    """Seconds in which at least one batch runs.

    Batches may overlap: a moment counts once, for the model of the batch that has run longest.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: list[list[str]] = []  # lists, so that each batch is an object of its own
        self._seconds: dict[str, float] = defaultdict(float)
        self._since = 0.0

    @contextmanager
    def running(self, model: str) -> Iterator[None]:
        """Count the time of the block."""
        batch = [model]
        self._count()
        self._running.append(batch)
        try:
            yield
        finally:
            self._count()
            self._running = [one for one in self._running if one is not batch]

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each model so far, with those of batches that still run."""
        self._count()
        return dict(self._seconds)

    def _count(self) -> None:
        now = self._clock()
        if self._running:
            (model,) = self._running[0]
            self._seconds[model] += now - self._since
        self._since = now
