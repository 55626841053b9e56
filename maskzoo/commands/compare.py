"""`maskzoo compare`: scores and latency of several models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import Device, EngineName, Json, print_json


def compare(
    runs: Annotated[list[str], typer.Argument(help="Folders of runs or bundles, shipped names.")],
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="PNG of mean IoU against latency.")
    ] = Path("compare.png"),
    size: Annotated[int, typer.Option(min=32, help="Side of the image that is timed.")] = 512,
    repeats: Annotated[int, typer.Option(min=1, help="Images that each model is timed on.")] = 7,
    device: Device = "auto",
    engine: EngineName = "auto",
    as_json: Json = False,
) -> None:
    """Compare models: scores, and latency on this machine."""
    from maskzoo.training.scoring.compare import compare as measure

    found = measure(runs, size=(size, size), repeats=repeats, device=device, engine=engine)
    print_json(found.to_json()) if as_json else print(found.table(), end="")
    print(f"wrote {found.plot(out)}", file=sys.stderr)
