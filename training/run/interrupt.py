"""Ctrl-C and SIGTERM: a flag that the loop checks between steps, and an exception after it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingInterrupted(KeyboardInterrupt):
    """A run was stopped by a signal; it is saved and can be resumed."""


class StopRequest:
    """Context in which the first signal sets `requested`; a second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def interrupting(message: str) -> Iterator[None]:
    """Raise `TrainingInterrupted` with `message` at the first signal in the block.

    SIGTERM would otherwise end the process without a word. For work after the last step, which
    is saved by then and starts anew when the run is resumed.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TrainingInterrupted(message)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
