"""`maskzoo encoders`: the encoders, and trained weights for them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import Json, print_json

app = typer.Typer(no_args_is_help=True, help="The encoders, and trained weights for them.")


@app.command("list")
def list_encoders(
    pattern: Annotated[str, typer.Argument(help="Wildcards allowed.")] = "*",
    *,
    builtin: Annotated[
        bool, typer.Option("--builtin", help="Only those with shipped weights.")
    ] = False,
    cached: Annotated[
        bool, typer.Option("--cached", help="Only those with weights on this machine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the encoders, and the sources of their trained weights."""
    from maskzoo.models.catalogue.encoders import list_weights

    rows = [
        row
        for row in list_weights(pattern)
        if (row.is_builtin or not builtin) and (row.is_cached or row.is_builtin or not cached)
    ]
    if as_json:
        print_json([row.to_json() for row in rows])
    elif not rows:
        print(f"no encoder matches {pattern!r} and the options", file=sys.stderr)
    else:
        for row in rows:
            print(f"{row.name:<44} {row.sources()}")


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="Encoder, as `maskzoo encoders list` names it.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the file.")],
) -> None:
    """Download the ImageNet weights of an encoder into a file, for a machine without a network."""
    from maskzoo.models.catalogue.encoders import fetch_weights

    path = fetch_weights(name, out)
    print(f"wrote {path}")
    print(f"use   maskzoo train DATA --encoder {name} model.encoder_weights={path}")
