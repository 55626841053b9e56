"""Commands of the service; each imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from maskzoo.commands.models import predict_here
from maskzoo.console import Device, Json, Mode, Overlap, Tta, print_json

app = typer.Typer()

_LAST_S = 5  # after the service's own limit, for clients that send or read slowly


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


@app.command()
def predict(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="[BUNDLE] IMAGES...",
            help="A bundle (not with --server), then image files, folders, glob patterns.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for masks/ and overlays/.")],
    mode: Mode = "auto",
    tta: Tta = "none",
    overlap: Overlap = 0.25,
    overlays: Annotated[bool, typer.Option(help="Write the overlays too.")] = True,
    device: Device = "auto",
    engine: Annotated[
        str, typer.Option(help="auto, torch, torch-compile, openvino or onnxruntime.")
    ] = "auto",
    server: Annotated[
        str | None, typer.Option(help="URL of a service that is to do it; goes on if run again.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --server: its model.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="MASKZOO_API_KEY", help="With --server: your key.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="With --server: also what was written before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a mask, and an overlay, for each image: here, or by a service."""
    if server is None:
        if len(images) < 2:
            raise typer.BadParameter("give a bundle and images, or --server URL and images")
        predict_here(
            images[0],
            images[1:],
            out=out,
            mode=mode,
            tta=tta,
            overlap=overlap,
            overlays=overlays,
            device=device,
            engine=engine,
            as_json=as_json,
        )
        return
    from maskzoo.models.inference.folder import plan
    from maskzoo.service.client.clients import Client
    from maskzoo.service.client.predict import predict_remotely, report

    tasks = [(task.image, task.mask, task.overlay) for task in plan(images, out, overlays=overlays)]
    with Client(server, key=api_key) as client:
        outcomes = predict_remotely(client, tasks, model=model, mode=mode, again=again)
        done = report(outcomes, len(tasks), summary=not as_json)
    if as_json:
        print_json([outcome.to_json() for outcome in done])
    if any(outcome.error is not None for outcome in done):
        raise typer.Exit(2)


@app.command()
def bench(
    server: Annotated[str, typer.Argument(help="URL of the service.")] = "http://127.0.0.1:8000",
    *,
    model: Annotated[str | None, typer.Option(help="Its model; else its default.")] = None,
    concurrency: Annotated[
        str, typer.Option(help="Clients of the closed loops, separated by commas.")
    ] = "1,2,4,8,16",
    rates: Annotated[
        str, typer.Option(help="Open loops, as parts of the capacity found; empty for none.")
    ] = "0.5,0.8,1.1",
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each round.")] = 10,
    form: Annotated[str, typer.Option("--format", help="Form of the answers.")] = "png",
    api_key: Annotated[str | None, typer.Option(envvar="MASKZOO_API_KEY", help="Your key.")] = None,
    seed: Annotated[int, typer.Option(help="Of the images and of the arrivals.")] = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for bench.json and bench.png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a running service: images/s, latencies, batches, errors."""
    import asyncio

    import httpx

    from maskzoo.service.client.bench import make_pictures, run_bench
    from maskzoo.service.client.bench_report import HEADER, describe, draw, write_json

    params = {"format": form, **({"model": model} if model else {})}
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    clients = [int(word) for word in concurrency.split(",")]
    shares = [float(word) for word in rates.split(",") if word]

    async def run() -> Any:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=server, headers=headers, limits=limits, timeout=120
        ) as http:
            return await run_bench(
                http,
                make_pictures(14, seed=seed),
                params=params,
                concurrency=clients,
                rates=shares,
                seconds=seconds,
                seed=seed,
                on_round=lambda one: None if as_json else print(describe(one), flush=True),
            )

    if not as_json:
        print(HEADER)
    rounds = asyncio.run(run())
    about = {"server": server, "params": params, "seconds": seconds, "seed": seed}
    if as_json:
        print_json({**about, "rounds": [one.to_json() for one in rounds]})
    if out is not None:
        write_json(rounds, about, out / "bench.json")
        draw(rounds, out / "bench.png")


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Check the installation: versions, devices, shipped bundles."""
    from maskzoo.service.doctor import examine

    report = examine()
    if as_json:
        print_json(report)
    else:
        for key, value in report.items():
            parts = value.items() if isinstance(value, dict) else [("", value)]
            for number, (name, text) in enumerate(parts):
                print(f"{'' if number else key:<28}{name}{': ' if name else ''}{text}")
    if report["problems"]:
        raise typer.Exit(1)


@app.command()
def key() -> None:
    """Make an API key, and the hash of it for MASKZOO_API_KEYS."""
    from maskzoo.service.guards.keys import new_key

    made, hashed = new_key()
    print(f"key   {made}")
    print(f"hash  {hashed}   MASKZOO_API_KEYS='NAME={hashed}'")


def _listen(host: str, port: int) -> Any:
    """Return a listening socket, so that a taken port is said before anything loads."""
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
