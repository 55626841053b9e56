"""`maskzoo report`: the report of a finished run, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import Device


def report(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of a run.")],
    data: Annotated[
        Path | None,
        typer.Argument(exists=True, help="Data of the run.  [default: as recorded in the run]"),
    ] = None,
    *,
    device: Device = "auto",
) -> None:
    """Write report.html of a finished run again; `train` writes it too."""
    from maskzoo.training.loggers.progress import progress_bar
    from maskzoo.training.report.rebuild import rebuild_report

    with progress_bar("evaluating") as progress:
        path = rebuild_report(run, data, device=device, on_image=progress)
    print(f"wrote {path}")
