"""What the commands of the three packages share: arguments they have in common, and JSON out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Bundle = Annotated[str, typer.Argument(help="A bundle's folder, or the name of a shipped one.")]
Data = Annotated[
    Path, typer.Argument(exists=True, help="Folder with images/ and masks/, or a dataset.yaml.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def print_json(document: Any) -> None:
    """Print `document` as the only thing on standard output; what JSON lacks becomes text."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))
