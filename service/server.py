"""The HTTP server around an application: uvicorn, and how its process ends."""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.lifespan.on import LifespanOn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from maskzoo.service.settings import Settings

LAST_S = 5
"""After the service's own limit, for clients that send or read slowly."""

KEEP_ALIVE_S = 60
"""How long an idle connection stays open; uvicorn's 5 s are httpx's too, and a client that sends
just then is reset."""

INTERRUPTED = 130
"""The exit code after a second SIGINT: 128 and its number, as shells have it."""


def end_on_signals() -> None:
    """End with 0 on SIGINT, SIGTERM and SIGHUP; uvicorn raises them again when it is done.

    A hang-up, when the terminal closes, ends the server like SIGTERM, unless it was started by
    `nohup`, which ignores the signal.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    hang_up = getattr(signal, "SIGHUP", None)  # absent on Windows
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        signal.signal(hang_up, lambda *_: signal.raise_signal(signal.SIGTERM))


def serve_http(app: ASGIApp, settings: Settings, listener: socket.socket) -> None:
    """Serve until a signal; after a second SIGINT, leave without waiting for any thread."""
    config = uvicorn.Config(
        app,  # it logs each request itself
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_s) + LAST_S,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
    )
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener])
    finally:
        if server.force_exit:
            sys.stdout.flush()
            os._exit(INTERRUPTED)


@asynccontextmanager
async def alive(app: ASGIApp) -> AsyncIterator[None]:
    """Let an application live during the block without a server, with all that starts under one.

    Raises:
        RuntimeError: it did not start.
    """
    lifespan = LifespanOn(uvicorn.Config(app, lifespan="on", log_config=None))
    await lifespan.startup()
    if lifespan.should_exit:
        raise RuntimeError("the application did not start; the log says why")
    try:
        yield
    finally:
        await lifespan.shutdown()
