"""`maskzoo doctor`: versions, devices and settings of this installation."""

from __future__ import annotations

import typer

from maskzoo.console import Json, print_json


def doctor(*, as_json: Json = False) -> None:
    """Check the installation: versions, devices, shipped bundles."""
    from maskzoo.service.doctor import examine

    report = examine()
    if as_json:
        print_json(report)
    else:
        for key, value in report.items():
            parts = value.items() if isinstance(value, dict) else [("", value)]
            for number, (name, text) in enumerate(parts):
                print(f"{'' if number else key:<28}{name}{': ' if name else ''}{text}")
    if report["problems"]:
        raise typer.Exit(1)
