"""Who is let in: as many pixels at a time as fit, and an honest word to the rest.

A request holds its image's pixels from its header to its answer, so the limit bounds the memory
of decoded images as well as the time that the last one waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import OverloadedError, StoppedError

MIN_COST_PX = 256 * 256
"""A smaller image counts as one of this size: a request costs something in any case."""

_MAX_RETRY_S = 120
_MEMORY = 0.8  # weight of what was measured before


class Admission:
    """Counts the pixels that are inside.

    Args:
        max_pixels: how many may be; an image that is larger is let in when nobody else is.
        clock: seconds.
    """

    def __init__(self, max_pixels: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_pixels = max_pixels
        self.pixels = 0
        self._clock = clock
        self._speed: float | None = None
        self._is_closed = False

    def close(self) -> None:
        """Let nobody in any more; who is inside goes on."""
        self._is_closed = True

    def check(self, pixels: int = MIN_COST_PX) -> None:
        """Refuse where there is no room for so many pixels.

        Raises:
            OverloadedError: with the seconds after which there should be.
            StoppedError: after `close`.
        """
        if self._is_closed:
            raise StoppedError("the service is stopping; send the request again")
        if self.pixels and self.pixels + pixels > self.max_pixels:
            raise OverloadedError(self.retry_after_s())

    @contextmanager
    def admit(self, pixels: int) -> Iterator[None]:
        """Hold room for the time of the block.

        Raises:
            OverloadedError: there is none.
        """
        cost = max(pixels, MIN_COST_PX)
        self.check(cost)
        self.pixels += cost
        begun = self._clock()
        try:
            yield
        except BaseException:
            self.pixels -= cost
            raise
        self._measure(self._clock() - begun)
        self.pixels -= cost

    def retry_after_s(self) -> int:
        """Return whole seconds in which what is inside should be done, at the measured speed."""
        if self._speed is None:
            return 1
        return min(_MAX_RETRY_S, max(1, math.ceil(self.pixels / self._speed)))

    def _measure(self, elapsed_s: float) -> None:
        """Learn pixels per second by Little's law: what is inside, by the time it stays."""
        speed = self.pixels / max(elapsed_s, 1e-3)
        if self._speed is None:
            self._speed = speed
        self._speed = _MEMORY * self._speed + (1 - _MEMORY) * speed
