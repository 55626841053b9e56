"""`maskzoo inspect`: what a folder of images and masks holds, and what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import AllowBad, Data, Json, print_json


def inspect(
    data: Data,
    *,
    write: Annotated[bool, typer.Option("--write", help="Write dataset.yaml there.")] = False,
    picture: Annotated[Path | None, typer.Option(help="PNG to draw the samples into.")] = None,
    allow_bad: AllowBad = 0,
    as_json: Json = False,
) -> None:
    """Say what is in a folder of images and masks."""
    from maskzoo.training.data.check.inspect import inspect as look
    from maskzoo.training.data.check.progress import progress_bar

    with progress_bar("reading images and masks") as progress:
        report = look(data, progress=progress)
    print_json(report.to_json()) if as_json else print(report.table(), end="")
    if write:
        print(f"wrote {report.write_yaml()}", file=sys.stderr)
    if picture is not None:
        print(f"wrote {report.picture(picture)}", file=sys.stderr)
    if report.num_errors and not report.is_usable(allow_bad=allow_bad):
        raise typer.Exit(2)
