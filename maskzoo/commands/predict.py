"""`maskzoo predict`: masks and overlays of image files, computed here, by a service or on Ray."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from maskzoo.console import Device, EngineName, Json, Mode, Overlap, Tta, print_json, show_tiles

if TYPE_CHECKING:
    from maskzoo import PredictOptions
    from maskzoo.models.inference.folder import FileOutcome

ONLY_HERE = ("overlap", "device", "engine")
"""Options that `POST /segment` does not have."""
ONLY_REMOTE = ("model",)
ONLY_ON_RAY = ("address", "workers")


class Outcome(Protocol):
    """What is reported of an image that was segmented elsewhere."""

    @property
    def error(self) -> str | None:
        """Why it has no mask."""

    @property
    def is_kept(self) -> bool:
        """Whether its mask existed already."""

    @property
    def reason(self) -> str | None:
        """Why a mask that existed was written again."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""


def predict(
    context: typer.Context,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="[BUNDLE] IMAGES...",
            help="A bundle (not with --server), then image files, folders, glob patterns, "
            "or lists (.txt, a path a line); with --ray also URLs of buckets.",
        ),
    ],
    *,
    out: Annotated[
        str,
        typer.Option("-o", "--out", help="Folder for masks/ and overlays/; with --ray also a URL."),
    ],
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
    on_ray: Annotated[
        bool,
        typer.Option("--ray", help="Segment on a Ray cluster; a second run continues."),
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(help="With --ray: of a cluster; otherwise RAY_ADDRESS, or this machine."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="With --ray: processes; by default one a GPU, or a core."),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Write over masks that were edited; with --server or --ray, segment everything "
            "again.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a mask and an overlay for each image, computed here, by a service or on a cluster."""
    if not on_ray:
        _refuse(context, ONLY_ON_RAY, "only with --ray")
        if "://" in out:
            raise typer.BadParameter("-o takes a URL only with --ray")
    if server is not None:
        if on_ray:
            raise typer.BadParameter("give --server or --ray, not both")
        _refuse(context, ONLY_HERE, "only without --server: a service decides it itself")
        _predict_remotely(
            server,
            images,
            Path(out),
            overlays,
            api_key,
            as_json,
            model=model,
            mode=mode,
            tta=tta,
            again=again,
        )
        return
    _refuse(context, ONLY_REMOTE, "only with --server URL")
    if len(images) < 2:
        raise typer.BadParameter("give a bundle and images, or --server URL and images")
    from maskzoo import PredictOptions

    options = PredictOptions(mode=mode, tta=tta, overlap=overlap)
    common: dict[str, Any] = {"overlays": overlays, "device": device, "engine": engine}
    common |= {"again": again, "as_json": as_json, "options": options}
    if on_ray:
        _predict_on_ray(images[0], images[1:], out=out, address=address, workers=workers, **common)
    else:
        _predict_here(images[0], images[1:], out=Path(out), **common)


def _refuse(context: typer.Context, names: Iterable[str], why: str) -> None:
    """End with exit code 2 if one of the options was given on the command line."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"--{name} works {why}")


def _predict_remotely(
    server: str,
    images: list[str],
    out: Path,
    overlays: bool,
    api_key: str | None,
    as_json: bool,
    **asked: Any,
) -> None:
    from maskzoo.models.inference.outputs import list_outputs
    from maskzoo.service.client.clients import Client
    from maskzoo.service.client.predict import predict_remotely

    outputs = list_outputs(images, out, overlays=overlays)
    with Client(server, key=api_key) as client:
        outcomes = predict_remotely(client, outputs, **asked)
        if not _report(outcomes, len(outputs), as_json=as_json):
            raise typer.Exit(2)


def _predict_on_ray(
    bundle: str,
    images: list[str],
    *,
    out: str,
    address: str | None,
    workers: int | None,
    options: PredictOptions,
    overlays: bool,
    device: str,
    engine: str,
    again: bool,
    as_json: bool,
) -> None:
    from maskzoo.models.bundles.manifest import read_manifest
    from maskzoo.models.bundles.shipped import find_bundle
    from maskzoo.service.batch.failures import list_failures
    from maskzoo.service.batch.run import predict_on_ray
    from maskzoo.service.batch.sources import is_url, list_sources
    from maskzoo.service.batch.worker import BatchWork

    folder = find_bundle(bundle).resolve()
    sources = list_sources(images, out)
    work = BatchWork(
        bundle=str(folder),
        weights_sha256=read_manifest(folder).weights_sha256,
        out=out if is_url(out) else str(Path(out).absolute()),
        options=options,
        has_overlays=overlays,
        again=again,
        engine=engine,
        device=device,
    )
    outcomes = predict_on_ray(sources, work, address=address, workers=workers)
    if not _report(list_failures(work.out, outcomes), len(sources), as_json=as_json):
        raise typer.Exit(2)


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


def _report(outcomes: Iterable[Outcome], total: int, *, as_json: bool) -> bool:
    """Show a progress bar and what failed, then counts or one JSON document; False if any failed.

    Only `as_json` keeps the outcomes.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    documents = []
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        row = bar.add_task("segmenting", total=total)
        for outcome in outcomes:
            bar.advance(row)
            if outcome.error is not None:
                message = f"error: {outcome.error}"
                console.print(message, style="red", markup=False, soft_wrap=True)
            kind = "failed" if outcome.error else "kept" if outcome.is_kept else "written"
            counts[kind] += 1
            if outcome.reason is not None:
                reasons[outcome.reason] += 1
            if as_json:
                documents.append(outcome.to_json())
    if as_json:
        print_json(documents)
    else:
        why = "; ".join(f"{count} again: {reason}" for reason, count in sorted(reasons.items()))
        again = f" ({why})" if why else ""
        written, kept, failed = (counts[kind] for kind in ("written", "kept", "failed"))
        console.print(f"{written} written{again}, {kept} kept, {failed} failed")
    return not counts["failed"]
