"""Commands of the service; each imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from models.console import Json, print_json

app = typer.Typer()


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    bundles: Annotated[
        list[Path] | None, typer.Option(exists=True, file_okay=False, help="Folder of bundles.")
    ] = None,
) -> None:
    """Answer POST /segment over HTTP, with a page at /."""
    import signal

    import uvicorn

    from models.shipped import list_bundles
    from service.app import create_app
    from service.logs import configure
    from service.settings import Settings

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
        server = uvicorn.Server(uvicorn.Config(service, log_config=None, access_log=False))
        server.run(sockets=[listener])


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Check the installation: versions, devices, shipped bundles."""
    from service.doctor import examine

    report = examine()
    if as_json:
        print_json(report)
    else:
        for key, value in report.items():
            print(f"{key:<32} {value}")
    if report["problems"]:
        raise typer.Exit(1)


@app.command()
def key() -> None:
    """Make an API key, and the hash of it for MASKZOO_API_KEYS."""
    from service.keys import new_key

    made, hashed = new_key()
    print(f"key   {made}")
    print(f"hash  {hashed}   MASKZOO_API_KEYS='NAME={hashed}'")


def _listen(host: str, port: int) -> Any:
    """Return a listening socket, so that a taken port is said before anything loads."""
    import socket

    from models.errors import ZooError

    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ZooError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another by --host or --port"
        ) from None
