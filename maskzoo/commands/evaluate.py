"""`maskzoo evaluate`: the scores of a bundle on a data set."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from maskzoo.console import Bundle, Data, Device, EngineName, Json, Mode, Overlap, Tta, print_json


def evaluate(
    bundle: Bundle,
    data: Data,
    *,
    split: Annotated[Literal["train", "val", "test"], typer.Option()] = "test",
    mode: Mode = "auto",
    tta: Tta = "none",
    overlap: Overlap = 0.25,
    device: Device = "auto",
    engine: EngineName = "auto",
    save: Annotated[
        bool, typer.Option("--save", help="Put the scores in the bundle and its card.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure a bundle on a folder of images and masks."""
    from maskzoo import PredictOptions
    from maskzoo.models.bundles.bundle import save_metrics
    from maskzoo.models.bundles.records import BundleMetrics
    from maskzoo.models.bundles.shipped import find_bundle
    from maskzoo.training.loggers.progress import progress_bar
    from maskzoo.training.scoring.bundle import evaluate_bundle
    from maskzoo.training.scoring.table import evaluation_table

    folder = find_bundle(bundle)
    with progress_bar("evaluating") as progress:
        result = evaluate_bundle(
            folder,
            data,
            split=split,
            device=device,
            engine=engine,
            options=PredictOptions(mode=mode, tta=tta, overlap=overlap),
            on_image=progress,
        )
    if save:
        command = result.command(str(data), engine=engine, device=device)
        metrics = result.metrics().updated(BundleMetrics(command=command))
        save_metrics(folder, metrics)
        print(f"saved in {folder}", file=sys.stderr)
    print_json(result.to_json()) if as_json else print(evaluation_table(result))
