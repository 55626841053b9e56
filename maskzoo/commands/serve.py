"""`maskzoo serve`: the HTTP service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import socket

    from maskzoo.service.settings import Settings


def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    bundles: Annotated[
        list[Path] | None, typer.Option(exists=True, file_okay=False, help="Folder of bundles.")
    ] = None,
    processes: Annotated[
        str | None,
        typer.Option(help="Processes that answer requests: a number, or auto by the machine."),
    ] = None,
) -> None:
    """Serve masks over HTTP, with a web page at /."""
    from maskzoo.models.bundles.shipped import list_bundles
    from maskzoo.models.errors import ZooError
    from maskzoo.models.machine import measure_machine
    from maskzoo.service.machine import decide
    from maskzoo.service.observability.logs import configure
    from maskzoo.service.server import end_on_signals
    from maskzoo.service.settings import Settings

    given: dict[str, Any] = {"bundles": tuple(bundles)} if bundles else {}
    if processes is not None:
        given["processes"] = processes
    settings = Settings(**given)
    machine = measure_machine(settings.device)
    decided = decide(settings, machine)
    if decided.processes == 1 and len(settings.device.split()) > 1:
        raise ZooError(
            f"MASKZOO_DEVICE names {settings.device!r}, and one process uses one device; set "
            "MASKZOO_PROCESSES to 2 or more"
        )
    end_on_signals()
    configure(settings.log_level, settings.log_format)
    with _listen(host, port) as listener:
        names = [path.name for folder in settings.bundle_folders for path in list_bundles(folder)]
        shown = f"[{host}]" if ":" in host else host
        print(f"models: {', '.join(dict.fromkeys(names)) or 'none found'}", flush=True)
        print(f"listening on http://{shown}:{listener.getsockname()[1]}", flush=True)
        if decided.processes == 1:
            _serve_alone(settings, listener)
        else:
            from maskzoo.service.fronts.supervisor import supervise

            if bundles:  # the other processes read their settings here
                os.environ["MASKZOO_BUNDLES"] = os.pathsep.join(map(str, bundles))
            raise typer.Exit(supervise(decided, listener, gpus=machine.gpus))


def _serve_alone(settings: Settings, listener: socket.socket) -> None:
    """Serve with this process alone."""
    import faulthandler

    from maskzoo.service.app import create_app
    from maskzoo.service.server import serve_http

    serve_http(create_app(settings, on_fault=faulthandler.enable), settings, listener)


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
