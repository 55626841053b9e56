"""`maskzoo augment-preview`: the crops that a run would train on, as an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import ConfigFile, Data, Preset, Settings


def augment_preview(
    data: Data,
    settings: Settings = None,
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="PNG to draw into.")],
    preset: Preset = None,
    config: ConfigFile = None,
    samples: Annotated[int, typer.Option(min=1, help="Images to show.")] = 4,
    draws: Annotated[int, typer.Option(min=1, help="Crops beside each image.")] = 5,
) -> None:
    """Draw what training would show the network: images, and crops of the first epochs."""
    from maskzoo.training.config.load import load_config
    from maskzoo.training.planning.preview import preview

    chosen = load_config(settings or [], config, preset=preset)
    print(f"wrote {preview(data, chosen, out, num_samples=samples, num_draws=draws)}")
