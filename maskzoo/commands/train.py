"""`maskzoo train`: a folder of images and masks in, a bundle out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import AllowBad, ConfigFile, Data, Masks, Preset, Settings


def train(
    data: Data,
    settings: Settings = None,
    *,
    arch: Annotated[str | None, typer.Option(help="Architecture: see `models list`.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder: an smp or timm name.")] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Trained weights to start from: a bundle, a file of encoder weights, builtin, "
            "or imagenet.",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="Bundle whose answers the network learns from too."),
    ] = None,
    plugin: Annotated[
        list[str] | None, typer.Option(help="Plug-in as cbam@encoder.4; may be repeated.")
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the run.  [default: runs/NAME]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint.")
    ] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Run twenty steps and write a bundle.")
    ] = False,
    masks: Masks = None,
    allow_bad: AllowBad = 0,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings as YAML and do nothing.")
    ] = False,
) -> None:
    """Train on a folder of images and masks."""
    from maskzoo.training.config.load import dump_config, load_config
    from maskzoo.training.loggers.display import Display
    from maskzoo.training.run.dry_run import dry_run
    from maskzoo.training.run.fit import train as fit
    from maskzoo.training.run.interrupt import TrainingInterrupted
    from maskzoo.training.run.origin import run_command
    from maskzoo.training.starts.given import start_setting

    given = {
        "model.architecture": arch,
        "model.encoder": encoder,
        "model.plugins": plugin,
        start_setting(from_ or ""): from_,
        "teacher.bundle": teacher,
        "masks": masks,
        "allow_bad": allow_bad,
    }
    options = [f"{key}={json.dumps(value)}" for key, value in given.items() if value]
    chosen = load_config([*options, *(settings or [])], config, preset=preset)
    if print_config:
        print(dump_config(chosen), end="")
        return
    run_dir = out or Path("runs") / data.resolve().name
    if dry and resume:
        raise typer.BadParameter("a dry run is always new; leave out --resume")
    # Where several devices train, each has a process of this command, and the first one speaks.
    rank = os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))
    display = Display(enabled=rank == "0")
    command = run_command(sys.argv, data, chosen)
    try:
        result = (
            dry_run(data, chosen, run_dir=run_dir, display=display, command=command)
            if dry
            else fit(data, chosen, run_dir=run_dir, resume=resume, display=display, command=command)
        )
    except TrainingInterrupted:  # the run is saved, and the way to go on is said
        raise typer.Exit(1) from None
    if display.enabled:
        print(f"bundle    {result.bundle}")
        print(f"evaluate  maskzoo evaluate {result.bundle} {data}")
        print(f"serve     maskzoo serve --bundles {result.bundle}")
