"""Timings of one image: the seconds of its stages, and when each of them ran."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class StageSpan(NamedTuple):
    """When a stage ran.

    Args:
        start_ns: nanoseconds since 1970.
    """

    stage: str
    start_ns: int
    seconds: float


class Timings:
    """Seconds by stage, in the order of their start, and their spans."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.spans: list[StageSpan] = []

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start, start_ns = time.perf_counter(), time.time_ns()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start, start_ns=start_ns)

    def add(self, stage: str, seconds: float, *, start_ns: int | None = None) -> None:
        """Add seconds to a stage.

        Args:
            start_ns: since 1970; None if the stage followed the previous one directly.
        """
        if start_ns is None:
            last = self.spans[-1] if self.spans else None
            start_ns = last.start_ns + round(last.seconds * 1e9) if last else time.time_ns()
        self.spans.append(StageSpan(stage, start_ns, seconds))
        self.add_elsewhere(stage, seconds)

    def add_elsewhere(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage of another process, which has its span."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def milliseconds(self) -> dict[str, float]:
        """Return the times in milliseconds, rounded for JSON."""
        return {stage: round(1000 * seconds, 2) for stage, seconds in self.seconds.items()}

    def header(self) -> str:
        """Return the value of a Server-Timing header."""
        return ", ".join(f"{stage};dur={ms}" for stage, ms in self.milliseconds().items())
