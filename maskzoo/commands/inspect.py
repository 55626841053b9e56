"""`maskzoo inspect`: what a folder of images and masks holds, and what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import AllowBad, Data, Json, Masks, print_json


def inspect(
    data: Data,
    *,
    write: Annotated[bool, typer.Option("--write", help="Write dataset.yaml there.")] = False,
    overview: Annotated[Path | None, typer.Option(help="PNG to draw an overview into.")] = None,
    masks: Masks = None,
    allow_bad: AllowBad = 0,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Take what has not changed from the cache.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Report what is in a folder of images and masks, and what is wrong with it."""
    from maskzoo.models.errors import ZooError
    from maskzoo.training.data.account import failure_json
    from maskzoo.training.data.check.choices import draw_choices
    from maskzoo.training.data.check.overview import draw_overview
    from maskzoo.training.data.check.table import report_table
    from maskzoo.training.data.check.writing import write_description
    from maskzoo.training.data.opening import inspect as inspect_data
    from maskzoo.training.data.opening import is_usable
    from maskzoo.training.data.records.readings.choice import ChoiceError
    from maskzoo.training.data.scan.store import open_store
    from maskzoo.training.loggers.progress import progress_bar

    store = open_store(data) if cache else None
    with progress_bar("reading images and masks") as on_progress:
        try:
            found = inspect_data(data, masks=masks, on_progress=on_progress, store=store)
        except ZooError as error:
            if as_json:
                print_json(failure_json(data, error))
            if overview is not None and isinstance(error, ChoiceError):
                drawn = draw_choices(error.readings, error.choices, overview)
                print(f"wrote {drawn}: samples of each reading", file=sys.stderr)
            raise
        finally:
            if store is not None:
                store.close()
    print_json(found.to_json()) if as_json else print(report_table(found), end="")
    if write:
        print(f"wrote {write_description(found)}", file=sys.stderr)
    if overview is not None:
        print(f"wrote {draw_overview(found, overview)}", file=sys.stderr)
    if found.num_errors and not is_usable(found, allow_bad=allow_bad):
        raise typer.Exit(2)
