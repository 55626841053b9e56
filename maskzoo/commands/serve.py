"""`maskzoo serve`: the HTTP service."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket

    import uvicorn

_LAST_S = 5  # after the service's own limit, for clients that send or read slowly

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    bundles: Annotated[
        list[Path] | None, typer.Option(exists=True, file_okay=False, help="Folder of bundles.")
    ] = None,
) -> None:
    """Serve masks over HTTP, with a web page at /."""
    import faulthandler
    import math

    import uvicorn

    from maskzoo.models.bundles.shipped import list_bundles
    from maskzoo.service.app import create_app
    from maskzoo.service.observability.logs import configure
    from maskzoo.service.settings import Settings

    settings = Settings(bundles=tuple(bundles)) if bundles else Settings()
    _end_on_signals()
    configure(settings.log_level, settings.log_format)
    with _listen(host, port) as listener:
        names = [path.name for folder in settings.bundle_folders for path in list_bundles(folder)]
        shown = f"[{host}]" if ":" in host else host
        print(f"models: {', '.join(dict.fromkeys(names)) or 'none found'}", flush=True)
        print(f"listening on http://{shown}:{listener.getsockname()[1]}", flush=True)
        service = create_app(settings, on_fault=faulthandler.enable)  # logs each request itself
        config = uvicorn.Config(
            service,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=math.ceil(settings.shutdown_s) + _LAST_S,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=list(settings.proxies),
        )
        _run(uvicorn.Server(config), listener)


def _end_on_signals() -> None:
    """End with 0 on SIGINT, SIGTERM and SIGHUP; uvicorn raises them again when it is done.

    A hang-up, when the terminal closes, ends the server like SIGTERM, unless it was started by
    `nohup`, which ignores the signal.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    hang_up = getattr(signal, "SIGHUP", None)  # absent on Windows
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        signal.signal(hang_up, lambda *_: signal.raise_signal(signal.SIGTERM))


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until a signal; after a second SIGINT, leave without waiting for any thread."""
    try:
        server.run(sockets=[listener])
    finally:
        if server.force_exit:
            sys.stdout.flush()
            os._exit(_INTERRUPTED)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that a taken port is reported before anything loads."""
    import socket

    from maskzoo.models.errors import ZooError

    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ZooError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another by --host or --port"
        ) from None
