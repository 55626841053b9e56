"""The pace of a run: images per second, and the fraction of time spent waiting for data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_Batch = TypeVar("_Batch")


class Pace:
    """Pace since its creation; `pause` leaves out validations."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._images = 0
        self._start = time.monotonic()

    def waiting(self, batches: Iterable[_Batch]) -> Iterator[_Batch]:
        """Yield `batches`, timing the wait for each."""
        iterator = iter(batches)
        while True:
            start = time.monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                self._waited += time.monotonic() - start
            yield batch

    def count(self, num_images: int) -> None:
        """Add a number of trained images."""
        self._images += num_images

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Return a context whose time does not count."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._start += time.monotonic() - start

    @property
    def images_per_s(self) -> float:
        """Images per second so far."""
        return self._images / self._seconds

    @property
    def wait_fraction(self) -> float:
        """Fraction of the time so far that was spent waiting for data."""
        return min(1.0, self._waited / self._seconds)

    @property
    def _seconds(self) -> float:
        return max(1e-9, time.monotonic() - self._start)
