"""The pace of a run: images per second, and the fraction of time spent waiting for data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_Batch = TypeVar("_Batch")


class Pace:
    """Counts from when it is made; validations are left out by `pause`."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._images = 0
        self._began = time.monotonic()

    def waiting(self, batches: Iterable[_Batch]) -> Iterator[_Batch]:
        """Yield `batches`, timing the wait for each."""
        iterator = iter(batches)
        while True:
            began = time.monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                self._waited += time.monotonic() - began
            yield batch

    def count(self, num_images: int) -> None:
        """Add images that were learnt from."""
        self._images += num_images

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Return a context whose time does not count."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._began += time.monotonic() - began

    @property
    def images_per_s(self) -> float:
        """Images a second so far."""
        return self._images / self._seconds

    @property
    def wait_fraction(self) -> float:
        """Fraction of the time so far that was spent waiting for data."""
        return min(1.0, self._waited / self._seconds)

    @property
    def _seconds(self) -> float:
        return max(1e-9, time.monotonic() - self._began)
