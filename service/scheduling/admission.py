"""Admission control by pixels, with an honest Retry-After.

A request holds its image's pixels from its header to its answer. Their sum bounds the memory of
decoded images; divided by the speed at which pixels have left so far, it is the time that the
next one would wait, which is bounded too. Who would wait too long hears so at once, with the time
after which to come again, instead of waiting for an answer that is late.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from maskzoo.service.errors import OverloadedError, StoppedError

MIN_COST_PX = 256 * 256
"""A smaller image counts as one of this size: a request costs something in any case."""

MAX_LOAD_PX = 2048 * 1024
"""A larger image is worked on in pieces, and the others get their turn between them."""

_MAX_RETRY_S = 120
_MEMORY = 0.98  # weight of what was measured before, at each answer


class Admission:
    """Counts the pixels that are inside.

    Args:
        max_pixels: how many may be; an image that is larger is let in when nobody else is.
        max_wait_s: how long the next one may have to wait.
        clock: seconds.
    """

    def __init__(
        self,
        max_pixels: int,
        *,
        max_wait_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_pixels = max_pixels
        self.max_wait_s = max_wait_s
        self.pixels = 0
        self._load = 0  # of them, what the next one would wait for
        self._clock = clock
        self._is_closed = False
        self._busy_since = 0.0  # the last answer, or the first request after a pause
        self._done = 0.0  # both sums forget slowly
        self._busy_s = 0.0

    def close(self) -> None:
        """Let nobody in any more; who is inside goes on."""
        self._is_closed = True

    def check(self, pixels: int = MIN_COST_PX, *, within_s: float = math.inf) -> None:
        """Refuse where there is no room for so many pixels, or no time.

        Args:
            within_s: how long the answer is worth waiting for.

        Raises:
            OverloadedError: with the seconds after which there should be.
            StoppedError: after `close`.
        """
        if self._is_closed:
            raise StoppedError("the service is stopping; send the request again")
        is_full = self.pixels + pixels > self.max_pixels
        if self.pixels and (is_full or self.wait_s() > min(self.max_wait_s, within_s)):
            raise OverloadedError(self.retry_after_s())

    @contextmanager
    def admit(self, pixels: int, *, within_s: float = math.inf) -> Iterator[None]:
        """Hold room for the time of the block.

        Raises:
            OverloadedError: there is none.
            StoppedError: after `close`.
        """
        cost = max(pixels, MIN_COST_PX)
        load = min(cost, MAX_LOAD_PX)
        self.check(cost, within_s=within_s)
        if not self.pixels:
            self._busy_since = self._clock()
        self.pixels += cost
        self._load += load
        try:
            yield
            self._measure(load)
        finally:
            self.pixels -= cost
            self._load -= load

    def wait_s(self) -> float:
        """Return the seconds in which what is inside should be done; 0 while nothing is known."""
        return self._load * self._busy_s / self._done if self._done else 0.0

    def retry_after_s(self) -> int:
        """Return whole seconds in which what is inside should be done."""
        return min(_MAX_RETRY_S, max(1, math.ceil(self.wait_s())))

    def _measure(self, load: int) -> None:
        """Learn the speed at which pixels leave while there are some.

        Batches leave together; sums over many answers know the speed all the same.
        """
        now = self._clock()
        self._done = _MEMORY * self._done + load
        self._busy_s = _MEMORY * self._busy_s + max(now - self._busy_since, 1e-6)
        self._busy_since = now
