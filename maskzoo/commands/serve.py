"""`maskzoo serve`: the HTTP service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import socket

    from maskzoo.service.replicas.options import RayOptions
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
    ray: Annotated[
        bool, typer.Option("--ray", help="Serve by replicas on Ray; needs the extra ray.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(help="With --ray: a cluster; otherwise Ray is started on this machine."),
    ] = None,
    replicas: Annotated[
        str | None, typer.Option(help="With --ray: how many, as 2 or 1-8 by load.")
    ] = None,
    cpus: Annotated[
        float | None, typer.Option(help="With --ray: cores of each replica; 1 by default.")
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(help="With --ray: GPUs of each replica; 1 by default where there are any."),
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
    if ray:
        from maskzoo.service.replicas.cluster import check_ray
        from maskzoo.service.replicas.options import ray_settings, read_options

        check_ray(host, port, address)
        options = read_options(replicas, cpus, gpus)
        settings = ray_settings(settings, replicas=options.max_replicas)
        _serve_on_ray(settings, host, port, address, options)
        return
    if (address, replicas, cpus, gpus) != (None, None, None, None):
        raise ZooError("--address, --replicas, --cpus and --gpus are for --ray; add it")
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
        print(f"models: {', '.join(dict.fromkeys(names)) or 'none found'}", flush=True)
        print(f"listening on {_url(host, listener.getsockname()[1])}", flush=True)
        if decided.processes == 1:
            _serve_alone(settings, listener)
        else:
            from maskzoo.service.fronts.supervisor import supervise

            if bundles:  # the other processes read their settings here
                os.environ["MASKZOO_BUNDLES"] = os.pathsep.join(map(str, bundles))
            raise typer.Exit(supervise(decided, listener, gpus=machine.gpus))


def _serve_on_ray(
    settings: Settings, host: str, port: int, address: str | None, options: RayOptions
) -> None:
    """Serve by replicas: until a signal on this machine, for good on a cluster."""
    import signal

    from maskzoo.service.ray_app import build_application
    from maskzoo.service.replicas import cluster
    from maskzoo.service.server import end_on_signals

    def start() -> None:
        cluster.start_ray(settings, host, port, address)
        given = options
        if "gpus" not in options.model_fields_set and settings.device != "cpu":
            given = options.model_copy(update={"gpus": float(cluster.has_gpus())})
        cluster.deploy(build_application(given, settings))
        end_on_signals()  # again: Ray's own handler aborts the process

    end_on_signals()
    if address is not None:
        start()
        print(f"serving on port {port} of each node; `serve shutdown` ends it", flush=True)
        return
    _listen(host, port).close()
    with cluster.ending():
        start()
        print(f"listening on {_url(host, port)}", flush=True)
        signal.pause()


def _serve_alone(settings: Settings, listener: socket.socket) -> None:
    """Serve with this process alone."""
    import faulthandler

    from maskzoo.service.app import create_app
    from maskzoo.service.server import serve_http

    serve_http(create_app(settings, on_fault=faulthandler.enable), settings, listener)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
