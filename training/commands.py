"""Commands on data and runs; each imports what it needs when it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from models.console import Bundle, Data, Device, Json, print_json

app = typer.Typer()


@app.command()
def train(
    data: Data,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="As in optimizer.lr=0.01.")
    ] = None,
    *,
    arch: Annotated[str | None, typer.Option(help="Architecture: see `models list`.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder: an smp or timm name.")] = None,
    plugin: Annotated[
        list[str] | None, typer.Option(help="Plug-in as cbam@encoder.4; may be repeated.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="YAML file of settings.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the run.  [default: runs/NAME]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last step.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Twenty steps, all the way to a bundle.")
    ] = False,
) -> None:
    """Train on a folder of images and masks."""
    from training.config import load_config
    from training.fit import dry_run
    from training.fit import train as fit
    from training.interrupt import TrainingInterrupted

    given = {"model.architecture": arch, "model.encoder": encoder, "model.plugins": plugin}
    options = [f"{key}={json.dumps(value)}" for key, value in given.items() if value]
    chosen = load_config([*options, *(settings or [])], config, preset=preset)
    run_dir = out or Path("runs") / data.resolve().name
    if dry and resume:
        raise typer.BadParameter("a dry run is always new; leave out --resume")
    try:
        result = (
            dry_run(data, chosen, run_dir=run_dir)
            if dry
            else fit(data, chosen, run_dir=run_dir, resume=resume)
        )
    except TrainingInterrupted:  # the run is saved, and the way to go on is said
        raise typer.Exit(1) from None
    print(f"bundle    {result.bundle}")
    print(f"evaluate  maskzoo evaluate {result.bundle} {data}")
    print(f"serve     maskzoo serve --bundles {result.bundle}")


@app.command()
def evaluate(
    bundle: Bundle,
    data: Data,
    *,
    split: Annotated[Literal["train", "val", "test"], typer.Option()] = "test",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a bundle on a folder of images and masks."""
    from models.shipped import find_bundle
    from training.evaluate import evaluate as measure

    result = measure(find_bundle(bundle), data, split=split, device=device)
    print_json(result.to_json()) if as_json else print(result.table())


@app.command()
def inspect(
    data: Data,
    *,
    write: Annotated[bool, typer.Option("--write", help="Write dataset.yaml there.")] = False,
    picture: Annotated[Path | None, typer.Option(help="PNG to draw the samples into.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is in a folder of images and masks."""
    from training.data.inspect import inspect as look

    report = look(data)
    print_json(report.to_json()) if as_json else print(report.table(), end="")
    if write:
        print(f"wrote {report.write_yaml()}", file=sys.stderr)
    if picture is not None:
        print(f"wrote {report.picture(picture)}", file=sys.stderr)
    if report.num_errors:
        raise typer.Exit(2)
