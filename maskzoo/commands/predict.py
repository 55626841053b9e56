"""`maskzoo predict`: masks and overlays of image files, computed here or by a service."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskzoo.console import Device, EngineName, Json, Mode, Overlap, Tta, print_json, show_tiles

if TYPE_CHECKING:
    from maskzoo import PredictOptions
    from maskzoo.models.inference.folder import FileOutcome
    from maskzoo.service.client.predict import RemoteOutcome

ONLY_HERE = ("overlap", "device", "engine")
"""Options that `POST /segment` does not have."""
ONLY_REMOTE = ("model",)


def predict(
    context: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="[BUNDLE] IMAGES...",
            help="A bundle (not with --server), then image files, folders, glob patterns.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for masks/ and overlays/.")],
    mode: Mode = "auto",
    tta: Tta = "none",
    overlap: Overlap = 0.25,
    overlays: Annotated[bool, typer.Option(help="Write overlays too.")] = True,
    device: Device = "auto",
    engine: EngineName = "auto",
    server: Annotated[
        str | None,
        typer.Option(help="URL of a service that segments the images; a second run continues."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --server: its model.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="MASKZOO_API_KEY", help="With --server: your API key.")
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Write over masks that were edited; with --server, segment everything again.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a mask and an overlay for each image, computed here or by a service."""
    if server is None:
        _refuse(context, ONLY_REMOTE, "only with --server URL")
        if len(images) < 2:
            raise typer.BadParameter("give a bundle and images, or --server URL and images")
        from maskzoo import PredictOptions

        _predict_here(
            images[0],
            images[1:],
            out=out,
            options=PredictOptions(mode=mode, tta=tta, overlap=overlap),
            overlays=overlays,
            device=device,
            engine=engine,
            again=again,
            as_json=as_json,
        )
        return
    _refuse(context, ONLY_HERE, "only without --server: a service decides it itself")
    from maskzoo.models.inference.outputs import list_outputs
    from maskzoo.service.client.clients import Client
    from maskzoo.service.client.predict import predict_remotely

    outputs = list_outputs(images, out, overlays=overlays)
    with Client(server, key=api_key) as client:
        outcomes = predict_remotely(client, outputs, model=model, mode=mode, tta=tta, again=again)
        if not _report_remote(outcomes, len(outputs), as_json=as_json):
            raise typer.Exit(2)


def _refuse(context: typer.Context, names: Iterable[str], why: str) -> None:
    """End with exit code 2 if one of the options was given on the command line."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"--{name} works {why}")


def _predict_here(
    bundle: str,
    images: list[str],
    *,
    out: Path,
    options: PredictOptions,
    overlays: bool,
    device: str,
    engine: str,
    again: bool,
    as_json: bool,
) -> None:
    from maskzoo import Predictor
    from maskzoo.models.bundles.manifest import read_manifest
    from maskzoo.models.bundles.shipped import find_bundle
    from maskzoo.models.inference.folder import predict_files
    from maskzoo.models.inference.outputs import list_outputs

    folder = find_bundle(bundle)
    outputs = list_outputs(images, out, overlays=overlays)
    predictor = Predictor.from_bundle(folder, engine=engine, device=device)
    outcomes = []
    weights = read_manifest(folder).weights_sha256
    for outcome in predict_files(
        predictor, outputs, options, weights_sha256=weights, again=again, on_tile=show_tiles
    ):
        outcomes.append(outcome)
        if outcome.error is not None:
            print(f"error: {outcome.error}", file=sys.stderr)
        elif not as_json:
            print(_line(outcome))
            for note in outcome.notes:
                print(f"note: {outcome.files.image}: {note}", file=sys.stderr)
    if as_json:
        print_json([_document(outcome) for outcome in outcomes])
    num_failed = sum(outcome.error is not None for outcome in outcomes)
    if num_failed:
        print(f"{num_failed} of {len(outcomes)} images have no mask", file=sys.stderr)
        raise typer.Exit(2)


def _line(outcome: FileOutcome) -> str:
    fractions = ", ".join(f"{name} {part:.1%}" for name, part in (outcome.fractions or {}).items())
    files = outcome.files
    return f"{files.image} -> {files.mask}  {outcome.width} x {outcome.height}  {fractions}"


def _document(outcome: FileOutcome) -> dict[str, Any]:
    files = outcome.files
    if outcome.error is not None:
        return {"image": str(files.image), "error": outcome.error}
    return {
        "image": str(files.image),
        "mask": str(files.mask),
        "overlay": str(files.overlay) if files.overlay else None,
        "width": outcome.width,
        "height": outcome.height,
        "fractions": outcome.fractions,
        "seconds": outcome.seconds,
        "notes": list(outcome.notes),
    }


def _report_remote(outcomes: Iterable[RemoteOutcome], total: int, *, as_json: bool) -> bool:
    """Show a progress bar, then what failed, or all as one JSON document; False if any failed."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    done = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        row = bar.add_task("segmenting", total=total)
        for outcome in outcomes:
            done.append(outcome)
            bar.advance(row)
    failed = [outcome for outcome in done if outcome.error is not None]
    for outcome in failed:
        console.print(f"error: {outcome.error}", style="red", markup=False, soft_wrap=True)
    if as_json:
        print_json([outcome.to_json() for outcome in done])
    else:
        num_kept = sum(outcome.is_kept for outcome in done)
        num_written = len(done) - len(failed) - num_kept
        reasons = Counter(outcome.reason for outcome in done if outcome.reason is not None)
        why = "; ".join(f"{count} again: {reason}" for reason, count in sorted(reasons.items()))
        again = f" ({why})" if why else ""
        console.print(f"{num_written} written{again}, {num_kept} kept, {len(failed)} failed")
    return not failed
