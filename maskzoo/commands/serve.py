"""`maskzoo serve`: the HTTP service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket

_LAST_S = 5  # after the service's own limit, for clients that send or read slowly


def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    bundles: Annotated[
        list[Path] | None, typer.Option(exists=True, file_okay=False, help="Folder of bundles.")
    ] = None,
) -> None:
    """Serve masks over HTTP, with a web page at /."""
    import math
    import signal

    import uvicorn

    from maskzoo.models.bundles.shipped import list_bundles
    from maskzoo.service.app import create_app
    from maskzoo.service.observability.logs import configure
    from maskzoo.service.settings import Settings

    settings = Settings(bundles=tuple(bundles)) if bundles else Settings()
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again when it is done
        signal.signal(number, lambda *_: sys.exit(0))
    configure(settings.log_level, settings.log_format)
    with _listen(host, port) as listener:
        names = [path.name for folder in settings.bundle_folders for path in list_bundles(folder)]
        shown = f"[{host}]" if ":" in host else host
        print(f"models: {', '.join(dict.fromkeys(names)) or 'none found'}", flush=True)
        print(f"listening on http://{shown}:{listener.getsockname()[1]}", flush=True)
        service = create_app(settings)  # logs each request itself
        config = uvicorn.Config(
            service,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=math.ceil(settings.shutdown_s) + _LAST_S,
        )
        server = uvicorn.Server(config)
        server.run(sockets=[listener])


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
