"""Admission control by pixels, with an honest Retry-After.

A request holds the pixels of its `Cost` from the moment its header is read until its answer. Their
sum bounds the memory of images, logits and answers. Divided by the measured throughput, it predicts
how long the next request would wait, which is bounded too: a request that would wait too long is
refused at once, with the time after which to try again, instead of being answered too late.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from maskzoo.service.errors import OverloadedError, StoppedError
from maskzoo.service.scheduling.cost import Cost

MIN_COST_PX = 256 * 256
"""A smaller image counts as this many pixels: every request costs something."""

MAX_LOAD_PX = 2048 * 1024
"""A larger image counts as this much load: it runs in tiles, and others run in between."""

_MAX_RETRY_S = 120
_DECAY = 0.98  # weight of earlier measurements, at each answer


@dataclass(frozen=True)
class Inside:
    """The images of one model that are admitted.

    Args:
        pixels: of all of them.
        wait_s: the part of `Admission.wait_s` that they make up.
    """

    pixels: int
    wait_s: float


class Admission:
    """Counts the pixels of all images that are admitted.

    Args:
        max_pixels: limit of the sum; a larger image is admitted when it is alone.
        max_wait_s: longest predicted wait of the next image.
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
        self._load = 0  # the part of them that the next image would wait for
        self._held_of: Counter[str] = Counter()  # both by model
        self._load_of: Counter[str] = Counter()
        self._clock = clock
        self._is_closed = False
        self._busy_since = 0.0  # the last answer, or the first request after a pause
        self._done = 0.0  # load that was finished, and the seconds it took: decaying sums
        self._busy_s = 0.0

    def close(self) -> None:
        """Refuse new requests from now on; admitted ones finish."""
        self._is_closed = True

    def check(self, pixels: int = MIN_COST_PX, *, within_s: float = math.inf) -> None:
        """Raise if there is no room for so many pixels, or no time.

        Args:
            within_s: how long the client waits for the answer.

        Raises:
            OverloadedError: names the seconds after which there should be room.
            StoppedError: after `close`.
        """
        if self._is_closed:
            raise StoppedError("the service is stopping; send the request again")
        is_full = self.pixels + pixels > self.max_pixels
        if self.pixels and (is_full or self.wait_s() > min(self.max_wait_s, within_s)):
            raise OverloadedError(self.retry_after_s())

    @contextmanager
    def admit(self, cost: Cost, *, model: str = "", within_s: float = math.inf) -> Iterator[None]:
        """Hold the room that an image takes during the block.

        Args:
            model: its name, for `by_model`.
            within_s: how long the client waits for the answer.

        Raises:
            OverloadedError: there is no room.
            StoppedError: after `close`.
        """
        held = max(cost.held, MIN_COST_PX)
        load = min(max(cost.load, MIN_COST_PX), MAX_LOAD_PX)
        self.check(held, within_s=within_s)
        if not self.pixels:
            self._busy_since = self._clock()
        self._count(model, held, load)
        try:
            yield
            self._measure(load)
        finally:
            self._count(model, -held, -load)

    def wait_s(self) -> float:
        """Return the seconds until the admitted load should be done; 0 while nothing is known."""
        return self._load * self._busy_s / self._done if self._done else 0.0

    def by_model(self) -> dict[str, Inside]:
        """Return what is inside of each model that ever was; the waits add up to `wait_s`."""
        wait_s = self.wait_s()
        return {
            model: Inside(held, wait_s * self._load_of[model] / self._load if self._load else 0.0)
            for model, held in self._held_of.items()
        }

    def retry_after_s(self) -> int:
        """Return `wait_s` in whole seconds, from 1 to 120."""
        return min(_MAX_RETRY_S, max(1, math.ceil(self.wait_s())))

    def _count(self, model: str, held: int, load: int) -> None:
        self.pixels += held
        self._load += load
        self._held_of[model] += held
        self._load_of[model] += load

    def _measure(self, load: int) -> None:
        """Update the throughput while there is load.

        The images of a batch finish together, so single intervals say little; the decaying sums
        over many answers give the rate.
        """
        now = self._clock()
        self._done = _DECAY * self._done + load
        self._busy_s = _DECAY * self._busy_s + max(now - self._busy_since, 1e-6)
        self._busy_since = now
