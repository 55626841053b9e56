"""`maskzoo doctor`: versions, devices and settings of this installation."""

from __future__ import annotations

import typer

from maskzoo.console import Json, print_json


def doctor(*, as_json: Json = False) -> None:
    """Check the installation: versions, devices, shipped bundles."""
    from maskzoo.service.doctor import examine

    diagnosis = examine()
    print_json(diagnosis.to_json()) if as_json else print(diagnosis.table(), end="")
    if diagnosis.problems:
        raise typer.Exit(1)
