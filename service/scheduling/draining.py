"""Shutdown: admission stops, and work in flight finishes or is answered with 503.

    signal -> new work is refused (503), readiness is off, jobs are given back, event streams end
           -> what is in flight has `limit_s` to end; what then still waits is answered with a 503
           -> the server, which saw the same signal, closes its connections and ends with 0

The server's own handler of the signal goes on working; this one is put before it while the service
runs. In a thread that is not the main one (tests) no handler can be set, and `begin` is called.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Drain:
    """Knows whether the service is ending.

    Args:
        limit_s: how long work in flight may go on.
        on_begin: called at once.
        on_limit: called when the time is over.
    """

    def __init__(
        self, limit_s: float, on_begin: Callable[[], None], on_limit: Callable[[], Awaitable[None]]
    ) -> None:
        self.begun = asyncio.Event()
        self._limit_s = limit_s
        self._on_begin = on_begin
        self._on_limit = on_limit
        self._ending: asyncio.Task[None] | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether the end has begun."""
        return self.begun.is_set()

    def begin(self) -> None:
        """Begin the end; called in the event loop, once or more."""
        if self.is_stopping:
            return
        logger.info("event=stopping limit_s=%g", self._limit_s)
        self.begun.set()
        self._on_begin()
        self._ending = asyncio.create_task(self._end_in_time())

    def close(self) -> None:
        """Forget the time limit: everything has ended."""
        if self._ending is not None:
            self._ending.cancel()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Begin the end on SIGTERM and SIGINT, before whoever handled these until now."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in _SIGNALS}

        def handle(number: int, frame: FrameType | None) -> Any:
            loop.call_soon_threadsafe(self.begin)
            handler = previous[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)

        for number in _SIGNALS:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in previous.items():
                if signal.getsignal(number) is handle:
                    signal.signal(number, handler)

    async def _end_in_time(self) -> None:
        await asyncio.sleep(self._limit_s)
        logger.warning("event=stop_limit_reached")
        await self._on_limit()
