"""`maskzoo bench`: a load test of a running service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maskzoo.console import ApiKey, Json, print_json


def bench(
    server: Annotated[str, typer.Argument(help="URL of the service.")] = "http://127.0.0.1:8000",
    *,
    model: Annotated[
        str | None, typer.Option(help="Its model; by default its default model.")
    ] = None,
    concurrency: Annotated[
        str, typer.Option(help="Numbers of clients in the closed loops, separated by commas.")
    ] = "1,2,4,8,16",
    rates: Annotated[
        str,
        typer.Option(
            help="Rates of the open loops, as fractions of the measured capacity; empty for none."
        ),
    ] = "0.5,0.8,1.1",
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each round.")] = 10,
    form: Annotated[str, typer.Option("--format", help="Format of the answers.")] = "png",
    api_key: ApiKey = None,
    seed: Annotated[int, typer.Option(help="Seed of the images and of the arrivals.")] = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for bench.json and bench.png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a running service: images/s, latencies, batches, errors."""
    import asyncio

    import httpx

    from maskzoo.service.client.bench import make_images, run_bench
    from maskzoo.service.client.bench_report import HEADER, format_round, plot_rounds, write_rounds

    params = {"format": form, **({"model": model} if model else {})}
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    clients = [int(word) for word in concurrency.split(",")]
    fractions = [float(word) for word in rates.split(",") if word]

    async def run() -> Any:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=server, headers=headers, limits=limits, timeout=120
        ) as http:
            return await run_bench(
                http,
                make_images(14, seed=seed),
                params=params,
                concurrency=clients,
                rates=fractions,
                seconds=seconds,
                seed=seed,
                on_round=lambda one: None if as_json else print(format_round(one), flush=True),
            )

    if not as_json:
        print(HEADER)
    rounds = asyncio.run(run())
    about = {"server": server, "params": params, "seconds": seconds, "seed": seed}
    if as_json:
        print_json({**about, "rounds": [one.to_json() for one in rounds]})
    if out is not None:
        write_rounds(rounds, about, out / "bench.json")
        plot_rounds(rounds, out / "bench.png")
