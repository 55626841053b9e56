"""`maskzoo zoo`: published checkpoints of mmsegmentation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from maskzoo.console import Json, print_json

app = typer.Typer(no_args_is_help=True, help="Published networks, fetched and imported.")


@app.command("list")
def list_checkpoints(
    pattern: Annotated[str, typer.Argument(help="Wildcards allowed, as '*r50*ade20k*'.")] = "*",
    *,
    dataset: Annotated[str, typer.Option(help="Only of this data set; wildcards allowed.")] = "*",
    as_json: Json = False,
) -> None:
    """List the published checkpoints, best score of each data set first."""
    from fnmatch import fnmatch

    from maskzoo.models.imports.mmseg.published import list_published

    rows = [
        row
        for row in list_published()
        if fnmatch(row.name, pattern) and fnmatch(row.dataset.lower(), dataset.lower())
    ]
    rows.sort(key=lambda row: (row.dataset, -(row.mean_iou or 0), row.name))
    if as_json:
        print_json([row.to_json() for row in rows])
    elif not rows:
        print(f"no checkpoint matches {pattern!r} and the options", file=sys.stderr)
    for row in [] if as_json else rows:
        score = "-" if row.mean_iou is None else f"{row.mean_iou:.2f}"
        facts = f"{row.dataset:<22} {row.classes:>3} classes {score:>6}"
        print(f"{row.name:<58} {facts} {_size(row.num_bytes)}")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="As `maskzoo zoo list` names it.")],
    *,
    as_json: Json = False,
) -> None:
    """Show one published checkpoint: data, scores and how they were measured, licence, address."""
    from maskzoo.models.imports.mmseg.published import find_published

    record = find_published(name).to_json()
    if as_json:
        print_json(record)
        return
    for key, value in record.items():
        print(f"{key.replace('_', ' '):<16}{'-' if value is None else value}")


@app.command("pull")
def pull_checkpoint(
    name: Annotated[str, typer.Argument(help="As `maskzoo zoo list` names it.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of bundles.")],
    mirror: Annotated[str | None, typer.Option(help="Address of the files, if not theirs.")] = None,
    dtype: Annotated[
        Literal["float32", "float16"], typer.Option(help="Type of the stored kernels.")
    ] = "float32",
) -> None:
    """Fetch a published checkpoint, check it and import it; continues a download that broke off."""
    from maskzoo.models.imports.mmseg.published import find_published
    from maskzoo.models.imports.mmseg.pull import pull

    checkpoint = find_published(name)
    print(f"fetching {checkpoint.file} ({_size(checkpoint.num_bytes)}), {checkpoint.licence}")
    bundle = pull(checkpoint, out, mirror=mirror, dtype=dtype, on_bytes=_show_bytes)
    print(f"wrote {bundle}")
    print(f"use   maskzoo serve --bundles {out}")


def _show_bytes(done: int, total: int | None) -> None:
    """Update one line of progress on standard error, if that is a terminal."""
    if sys.stderr.isatty():
        of = "" if total is None else f" of {total / 1e6:.1f}"
        end = "\r\033[K" if done == total else "\r"
        print(f"{done / 1e6:.1f}{of} MB", end=end, file=sys.stderr, flush=True)


def _size(num_bytes: int | None) -> str:
    return "size unknown" if num_bytes is None else f"{num_bytes / 1e6:6.1f} MB"
