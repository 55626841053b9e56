"""Shutdown: admission stops, and work in flight finishes or is answered with 503.

    SIGTERM -> readiness is off; for `leave_s` new work is still accepted, so that a load balancer
               sends it elsewhere before any of it is refused
           -> new work is refused (503), jobs are given back, event streams end
           -> what is in flight has `limit_s` to end; what then still waits is answered with a 503
           -> the server, which now gets the same signal, closes its connections and ends with 0

SIGINT, and a second SIGTERM, skip the first step. The server's own handler of the signal goes on
working; this one is put before it while the service runs. In a thread that is not the main one
(tests) no handler can be set, and `start` is called.
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
        leave_s: how long new work is still accepted after SIGTERM.
    """

    def __init__(
        self,
        limit_s: float,
        on_start: Callable[[], None],
        on_limit: Callable[[], Awaitable[None]],
        *,
        leave_s: float = 0,
    ) -> None:
        self.started = asyncio.Event()
        self.is_leaving = False
        """Whether no load balancer should send new work: from the signal on."""
        self._limit_s = limit_s
        self._leave_s = leave_s
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
        self.is_leaving = True
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
        """Leave on SIGTERM, start the shutdown on SIGINT; then call the previous handlers."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in _SIGNALS}

        def stop(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.start)
            handler = previous[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)

        def handle(number: int, frame: FrameType | None) -> Any:
            waits = number == signal.SIGTERM and self._leave_s > 0 and not self.is_leaving
            self.is_leaving = True
            if not waits:
                stop(number, frame)
                return
            logger.info("event=leaving leave_s=%g", self._leave_s)
            loop.call_soon_threadsafe(loop.call_later, self._leave_s, stop, number, None)

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
