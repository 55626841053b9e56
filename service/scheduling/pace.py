"""The size of batches, by what was measured: it grows while images per second grow.

On a CPU a batch of eight takes eight times as long as one image, and its first image waits for the
seven others in vain. A GPU takes several in the time of one, up to a knee that depends on the
network, the size of the images and the device. So the size is not a constant: for each network and
size of image, the next larger and the next smaller batch are tried now and then, and taken where
they pay.

    larger:   at least 6 % more images per second, and within the time that a batch may take
    smaller:  less than 3 % fewer images per second; each image is answered sooner

Between the two nothing changes, so noise does not move it to and fro; the pauses between trials
double. Nothing here waits, runs or reads a clock: times go in, and a number of images comes out.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""The sizes that are tried: those of which an engine of CUDA graphs has programs."""

_START = 4  # index: batches of six, until something is measured
_LEAST_GAIN, _LEAST_LOSS = 1.06, 1.03
_FIRST_BATCHES, _BATCHES = 8, 24  # full batches of a trial: few at first, thorough later
_FIRST_PAUSE, _LONGEST_PAUSE = 24, 1536  # full batches between trials that changed nothing
_COLD = 2  # first batches of a size, in which an engine prepares: a graph is captured, …
_MOST_KEYS = 256


@dataclass
class _Speed:
    """Sums over the latest batches of one size."""

    batches: float = 0
    busy_s: float = 0
    batch_s: float = 0

    def add(self, busy_s: float, batch_s: float) -> None:
        if self.batches >= 2 * _BATCHES:  # what is older counts half
            self.batches, self.busy_s = self.batches / 2, self.busy_s / 2
            self.batch_s /= 2
        self.batches += 1
        self.busy_s += busy_s
        self.batch_s += batch_s

    @property
    def mean_s(self) -> float:
        """Mean time of a batch, from its start to its end."""
        return self.batch_s / self.batches if self.batches else 0.0


@dataclass
class _Curve:
    """What is known about one network and size of image."""

    level: int
    trial: int | None = None
    upwards: bool = True
    rest: int = 0
    pause: int = _FIRST_PAUSE
    speeds: dict[int, _Speed] = field(default_factory=dict)
    seen: Counter[int] = field(default_factory=Counter)

    def speed(self, level: int) -> float:
        """Return images per second of the device's time."""
        found = self.speeds[level]
        return SIZES[level] * found.batches / max(found.busy_s, 1e-9)

    def is_known(self, level: int) -> bool:
        """Tell whether enough batches of a size ran."""
        need = _FIRST_BATCHES if self.pause <= 2 * _FIRST_PAUSE else _BATCHES
        return level in self.speeds and self.speeds[level].batches >= need


class BatchPace:
    """The number of images in a batch, by key.

    Keys stand for a network and a size of image. At most 256 of them are remembered.

    Args:
        most: the largest number.
        batch_s: the longest time that a batch of several images may take.
    """

    def __init__(self, *, most: int, batch_s: float) -> None:
        self.batch_s = batch_s
        self._top = max(index for index, size in enumerate(SIZES) if size <= max(1, most))
        self._curves: OrderedDict[Hashable, _Curve] = OrderedDict()
        self._last_end = -math.inf

    def limit(self, key: Hashable, *, within_s: float = math.inf) -> int:
        """Return the number of images that the next batch may have.

        Args:
            within_s: time until the first image must be answered.
        """
        curve = self._curve(key)
        level = curve.level if curve.trial is None else curve.trial
        while level > 0 and self._expected_s(curve, level) > within_s:
            level -= 1
        return SIZES[level]

    def observe(self, key: Hashable, items: int, *, start: float, end: float) -> None:
        """Learn from a batch that ran.

        Batches may overlap: the device's time of one is what has passed since the last one ended,
        if it began before that.

        Args:
            items: its number of images; a number that is not tried says nothing.
            start, end: in seconds, on one clock for all batches, in the order of `end`.
        """
        busy_s = end - max(start, min(self._last_end, end))
        self._last_end = max(self._last_end, end)
        curve = self._curve(key)
        if items not in SIZES:
            return
        level = SIZES.index(items)
        curve.seen[level] += 1
        if curve.seen[level] <= _COLD:
            return
        curve.speeds.setdefault(level, _Speed()).add(busy_s, end - start)
        if curve.trial is not None:
            if level == curve.trial and curve.is_known(level):
                self._conclude(curve, level)
        elif level == curve.level:
            self._go_on(curve)

    def _curve(self, key: Hashable) -> _Curve:
        curve = self._curves.get(key)
        if curve is None:
            curve = self._curves[key] = _Curve(min(_START, self._top))
            if len(self._curves) > _MOST_KEYS:
                self._curves.popitem(last=False)
        self._curves.move_to_end(key)
        return curve

    def _go_on(self, curve: _Curve) -> None:
        """After a full batch: shrink if it took too long, or try another size."""
        curve.rest -= 1
        if curve.level > 0 and curve.speeds[curve.level].mean_s > self.batch_s:
            del curve.speeds[curve.level]  # the device may be fast again, and it is tried then
            curve.level -= 1
            return
        if curve.rest > 0 or not curve.is_known(curve.level):
            return
        if curve.upwards and not self._may_grow(curve):
            curve.upwards = False
        if curve.upwards or curve.level > 0:
            curve.trial = curve.level + (1 if curve.upwards else -1)
            curve.speeds[curve.trial] = _Speed()  # what is compared was measured lately
        else:
            self._rest(curve)

    def _may_grow(self, curve: _Curve) -> bool:
        # Twice: in proportion it may be too long, and on a GPU it is not.
        above = curve.level + 1
        return above <= self._top and self._expected_s(curve, above) <= 2 * self.batch_s

    def _expected_s(self, curve: _Curve, level: int) -> float:
        """Return the measured time of a batch, or one in proportion to that of the current size."""
        if level in curve.speeds and curve.speeds[level].batches:
            return curve.speeds[level].mean_s
        known = curve.speeds.get(curve.level)
        return 0.0 if known is None else known.mean_s * SIZES[level] / SIZES[curve.level]

    def _conclude(self, curve: _Curve, trial: int) -> None:
        """Take the size that was tried, or leave it."""
        curve.trial = None
        ratio = curve.speed(trial) / curve.speed(curve.level)
        if trial > curve.level:
            is_better = ratio >= _LEAST_GAIN and curve.speeds[trial].mean_s <= self.batch_s
        else:
            is_better = ratio * _LEAST_LOSS > 1
        if is_better:
            curve.level = trial  # and the next trial goes on in this direction, at once
            curve.rest = 0
        elif curve.upwards:
            curve.upwards = False  # perhaps fewer are as fast
            curve.rest = 0
        else:
            self._rest(curve)

    def _rest(self, curve: _Curve) -> None:
        curve.upwards = True
        curve.rest, curve.pause = curve.pause, min(2 * curve.pause, _LONGEST_PAUSE)
