"""Commands on networks and bundles; each imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.console import Bundle, Device, Json, print_json

if TYPE_CHECKING:
    from models.inference.folder import Outcome

app = typer.Typer()
models_app = typer.Typer(no_args_is_help=True, help="The architectures and the shipped bundles.")
app.add_typer(models_app, name="models")


@app.command()
def predict(
    bundle: Bundle,
    images: Annotated[list[str], typer.Argument(help="Image files, folders, glob patterns.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for masks/ and overlays/.")],
    mode: Annotated[str, typer.Option(help="auto, whole or resize.")] = "auto",
    overlays: Annotated[bool, typer.Option(help="Write the overlays too.")] = True,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Write a mask, and an overlay, for each image."""
    from models import Predictor
    from models.inference.folder import plan, predict_files
    from models.shipped import find_bundle

    folder = find_bundle(bundle)
    tasks = plan(images, out, overlays=overlays)
    predictor = Predictor.from_bundle(folder, device=device)
    outcomes = []
    for outcome in predict_files(predictor, tasks, mode=mode):
        outcomes.append(outcome)
        if outcome.error is not None:
            print(f"error: {outcome.error}", file=sys.stderr)
        elif not as_json:
            print(_describe(outcome))
    if as_json:
        print_json([_outcome_document(outcome) for outcome in outcomes])
    num_failed = sum(outcome.error is not None for outcome in outcomes)
    if num_failed:
        print(f"{num_failed} of {len(outcomes)} images have no mask", file=sys.stderr)
        raise typer.Exit(2)


@models_app.command("list")
def models_list(
    pattern: Annotated[str, typer.Argument(help="Wildcards allowed.")] = "*",
    *,
    as_json: Json = False,
) -> None:
    """List the architectures, and the bundles that ship."""
    from fnmatch import fnmatch

    from models import list_models
    from models.bundle import read_manifest
    from models.shipped import list_bundles

    architectures = list_models(pattern)
    manifests = [read_manifest(path) for path in list_bundles() if fnmatch(path.name, pattern)]
    if as_json:
        shown = [{"name": item.name, "spec": item.spec.model_dump()} for item in manifests]
        print_json({"architectures": architectures, "bundles": shown})
        return
    for name in architectures:
        print(f"{name:<16} {_first_line(name)}")
    for item in manifests:
        print(f"{item.name:<16} bundle: {item.spec.architecture}, {', '.join(item.labels.names)}")


@models_app.command("show")
def models_show(name: str, *, as_json: Json = False) -> None:
    """Show one architecture, or one bundle."""
    from models.bundle import read_manifest
    from models.errors import UnknownNameError
    from models.registry import ARCHITECTURES
    from models.shipped import find_bundle, list_bundles

    if name in ARCHITECTURES:
        about = (sys.modules[ARCHITECTURES[name].__module__].__doc__ or "").strip()
        print_json({"name": name, "about": about}) if as_json else print(about)
        return
    shipped = [path.name for path in list_bundles()]
    if name not in shipped and not Path(name).exists():
        raise UnknownNameError("architecture or bundle", name, [*ARCHITECTURES, *shipped])
    print(read_manifest(find_bundle(name)).model_dump_json(indent=2))


def _first_line(architecture: str) -> str:
    from models.registry import ARCHITECTURES

    module = sys.modules[ARCHITECTURES[architecture].__module__]
    return (module.__doc__ or "").strip().split("\n", 1)[0]


def _describe(outcome: Outcome) -> str:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in (outcome.shares or {}).items())
    task = outcome.task
    return f"{task.image} -> {task.mask}  {outcome.width} x {outcome.height}  {shares}"


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    task = outcome.task
    if outcome.error is not None:
        return {"image": str(task.image), "error": outcome.error}
    return {
        "image": str(task.image),
        "mask": str(task.mask),
        "overlay": str(task.overlay) if task.overlay else None,
        "width": outcome.width,
        "height": outcome.height,
        "shares": outcome.shares,
        "seconds": outcome.seconds,
    }
