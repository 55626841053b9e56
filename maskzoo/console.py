"""What the commands of the three packages share: arguments they have in common, and JSON out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Bundle = Annotated[str, typer.Argument(help="A bundle's folder, or the name of a shipped one.")]
Data = Annotated[
    Path, typer.Argument(exists=True, help="Folder with images/ and masks/, or a dataset.yaml.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]
Mode = Annotated[
    str,
    typer.Option(help="auto, whole, resize or tiled; auto takes what fits the training and size."),
]
Tta = Annotated[
    str,
    typer.Option(
        help="Views to average: flip, d4, multiscale (or multiscale:0.5,1), flip+multiscale."
    ),
]
Overlap = Annotated[float, typer.Option(help="Share of a tile that neighbours have in common.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def print_json(document: Any) -> None:
    """Print `document` as the only thing on standard output; what JSON lacks becomes text."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def show_tiles(done: int, total: int) -> None:
    """Keep one line on a terminal's error output up to date; elsewhere say nothing."""
    if sys.stderr.isatty():
        end = "\r" if done < total else "\r\033[K"
        print(f"tile {done} of {total}", end=end, file=sys.stderr, flush=True)
