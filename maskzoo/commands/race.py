"""`maskzoo race`: a search for the network that suits a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import ConfigFile, Data, Preset, Settings


def race(
    data: Data,
    settings: Settings = None,
    *,
    minutes: Annotated[float, typer.Option(min=0.01, help="Time of the whole race.")] = 60.0,
    candidates: Annotated[
        int, typer.Option(min=2, help="Candidates that are drawn; those race that can learn.")
    ] = 9,
    least_steps: Annotated[
        int,
        typer.Option(min=1, help="Steps of each candidate in the first round."),
    ] = 100,
    arch: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    encoder: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    plugin: Annotated[
        list[str] | None, typer.Option(help="Only these, '' for none; may be repeated.")
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder.  [default: runs/NAME-race]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a race.")] = False,
) -> None:
    """Find the architecture, encoder and plug-ins that suit the data best."""
    from maskzoo.training.config.load import load_config
    from maskzoo.training.race.run import race as run_race
    from maskzoo.training.race.space import Space
    from maskzoo.training.race.study import Terms
    from maskzoo.training.run.interrupt import TrainingInterrupted

    chosen = load_config(settings or [], config, preset=preset)
    folder = out or Path("runs") / f"{data.resolve().name}-race"
    space = Space.of(arch or (), encoder or (), plugin or ())
    try:
        result = run_race(
            data,
            chosen,
            folder=folder,
            terms=Terms(minutes, space, candidates, least_steps),
            resume=resume,
        )
    except TrainingInterrupted:
        raise typer.Exit(1) from None
    print(f"bundle    {result.bundle}")
    print(f"report    {folder / 'race.html'}")
