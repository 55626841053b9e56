"""Parts shared by the commands: arguments, JSON output, progress."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Bundle = Annotated[str, typer.Argument(help="A bundle's folder, or the name of a shipped one.")]
Data = Annotated[
    Path, typer.Argument(exists=True, help="Folder with images/ and masks/, or a dataset.yaml.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]
Mode = Annotated[
    Literal["auto", "whole", "resize", "tiled"],
    typer.Option(help="auto chooses by training and size."),
]
Tta = Annotated[
    str,
    typer.Option(
        help="Views to average: flip, d4, multiscale (or multiscale:0.5,1), flip+multiscale."
    ),
]
Overlap = Annotated[float, typer.Option(help="Fraction of a tile that neighbours share.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings of the run, like optimizer.lr=0.01."),
]
Preset = Annotated[str | None, typer.Option(help="Named settings to start from.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", exists=True, dir_okay=False, help="YAML file of settings."),
]
AllowBad = Annotated[
    int, typer.Option("--allow-bad", min=0, help="Leave out up to this many samples with errors.")
]
Masks = Annotated[
    str | None,
    typer.Option(help="The masks that are meant, where the folder can be read in several ways."),
]
EngineName = Annotated[
    str, typer.Option(help="auto, torch, torch-compile, openvino or onnxruntime.")
]
HostEncoder = Annotated[str, typer.Option(help="Encoder that the cost is computed with.")]
ApiKey = Annotated[
    str | None, typer.Option(envvar="MASKZOO_API_KEY", help="API key for the service.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def print_json(document: Any) -> None:
    """Print `document` as the only thing on standard output; what JSON lacks becomes text."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def show_tiles(done: int, total: int) -> None:
    """Update one line of progress on standard error, if that is a terminal."""
    if sys.stderr.isatty():
        end = "\r" if done < total else "\r\033[K"
        print(f"tile {done} of {total}", end=end, file=sys.stderr, flush=True)
