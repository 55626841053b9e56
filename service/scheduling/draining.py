"""Shutdown: admission stops, and work in flight finishes or is answered with 503.

    signal -> new work is refused (503), readiness is off, jobs are given back, event streams end
           -> what is in flight has `limit_s` to end; what then still waits is answered with a 503
           -> the server, which saw the same signal, closes its connections and ends with 0

The server's own handler of the signal goes on working; this one is put before it while the service
runs. In a thread that is not the main one (tests) no handler can be set, and `start` is called.
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
    """The state of the shutdown.

    Args:
        limit_s: how long work in flight may continue.
        on_start: called when the shutdown starts.
        on_limit: called after `limit_s`.
    """

    def __init__(
        self, limit_s: float, on_start: Callable[[], None], on_limit: Callable[[], Awaitable[None]]
    ) -> None:
        self.started = asyncio.Event()
        self._limit_s = limit_s
        self._on_start = on_start
        self._on_limit = on_limit
        self._ending: asyncio.Task[None] | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether the shutdown has started."""
        return self.started.is_set()

    def start(self) -> None:
        """Start the shutdown; called in the event loop, once or more."""
        if self.is_stopping:
            return
        logger.info("event=stopping limit_s=%g", self._limit_s)
        self.started.set()
        self._on_start()
        self._ending = asyncio.create_task(self._end_in_time())

    def close(self) -> None:
        """Cancel the time limit: everything has ended."""
        if self._ending is not None:
            self._ending.cancel()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Start the shutdown on SIGTERM and SIGINT, then call the previous handlers."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in _SIGNALS}

        def handle(number: int, frame: FrameType | None) -> Any:
            loop.call_soon_threadsafe(self.start)
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
