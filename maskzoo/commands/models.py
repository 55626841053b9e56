"""Commands on networks and bundles; each imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskzoo.console import (
    Json,
    print_json,
    show_tiles,
)

if TYPE_CHECKING:
    from maskzoo.models.inference.folder import Outcome

app = typer.Typer()
models_app = typer.Typer(no_args_is_help=True, help="The architectures and the shipped bundles.")
plugins_app = typer.Typer(no_args_is_help=True, help="The mechanisms that go into any network.")
app.add_typer(models_app, name="models")
app.add_typer(plugins_app, name="plugins")

HostEncoder = Annotated[str, typer.Option(help="Encoder that the cost is counted with.")]


def predict_here(
    bundle: str,
    images: list[str],
    *,
    out: Path,
    mode: str,
    tta: str,
    overlap: float,
    overlays: bool,
    device: str,
    engine: str,
    as_json: bool,
) -> None:
    """Write a mask, and an overlay, for each image."""
    from maskzoo import Predictor
    from maskzoo.models.bundles.shipped import find_bundle
    from maskzoo.models.inference.folder import plan, predict_files

    folder = find_bundle(bundle)
    tasks = plan(images, out, overlays=overlays)
    predictor = Predictor.from_bundle(folder, engine=engine, device=device)
    outcomes = []
    for outcome in predict_files(
        predictor, tasks, mode=mode, tta=tta, overlap=overlap, on_tile=show_tiles
    ):
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

    from maskzoo import list_models
    from maskzoo.models.bundles.bundle import read_manifest
    from maskzoo.models.bundles.shipped import list_bundles
    from maskzoo.models.catalogue.discovery import about_architecture
    from maskzoo.models.catalogue.listing import rows

    architectures = [about_architecture(name) for name in list_models(pattern)]
    manifests = [read_manifest(path) for path in list_bundles() if fnmatch(path.name, pattern)]
    if as_json:
        shown = [{"name": item.name, "spec": item.spec.model_dump()} for item in manifests]
        print_json(
            {"architectures": [about.to_json() for about in architectures], "bundles": shown}
        )
        return
    if not architectures and not manifests:
        print(f"nothing is called {pattern!r}", file=sys.stderr)
        return
    print(rows(architectures))
    for item in manifests:
        print(f"bundle {item.name}: {item.spec.architecture}, {', '.join(item.labels.names)}")


@models_app.command("show")
def models_show(name: str, *, encoder: HostEncoder = "tu-resnet50c", as_json: Json = False) -> None:
    """Show one architecture, or one bundle."""
    from maskzoo.models.bundles.bundle import read_manifest
    from maskzoo.models.bundles.shipped import find_bundle, list_bundles
    from maskzoo.models.catalogue.discovery import describe_architecture
    from maskzoo.models.catalogue.listing import architecture_page
    from maskzoo.models.errors import UnknownNameError
    from maskzoo.models.registry import ARCHITECTURES

    if name in ARCHITECTURES:
        record = describe_architecture(name, encoder=encoder)
        print_json(record) if as_json else print(architecture_page(record))
        return
    shipped = [path.name for path in list_bundles()]
    if name not in shipped and not Path(name).exists():
        raise UnknownNameError("architecture or bundle", name, [*ARCHITECTURES, *shipped])
    print(read_manifest(find_bundle(name)).model_dump_json(indent=2))


@models_app.command("summary")
def models_summary(
    *,
    arch: Annotated[str, typer.Option(help="Architecture: see `models list`.")],
    encoder: HostEncoder = "tu-resnet50c",
    plugin: Annotated[
        list[str] | None, typer.Option(help="Plug-in as cbam@encoder.4; may be repeated.")
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Height and width of the image.")] = 512,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 19,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the image.")] = 3,
    depth: Annotated[int, typer.Option(min=0, help="How many levels of modules to print.")] = 2,
    as_json: Json = False,
) -> None:
    """Print the layers of a network with their shapes, parameters and cost."""
    from maskzoo import create_model
    from maskzoo.models.catalogue.cost import measure_layers
    from maskzoo.models.catalogue.listing import layer_table

    network = create_model(
        arch, encoder=encoder, num_classes=classes, in_channels=channels, plugins=plugin or ()
    )
    layers = measure_layers(network, (size, size), depth=depth)
    print_json([layer.to_json() for layer in layers]) if as_json else print(layer_table(layers))


@plugins_app.command("list")
def plugins_list(
    pattern: Annotated[str, typer.Argument(help="Wildcards allowed.")] = "*",
    *,
    site: Annotated[
        str | None, typer.Option(help="Only those that fit this kind of site, such as skip.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the plug-ins."""
    from maskzoo.models.catalogue.discovery import about_plugin
    from maskzoo.models.catalogue.listing import rows
    from maskzoo.models.registry import list_plugins

    plugins = [about_plugin(name) for name in list_plugins(pattern, place=site)]
    if as_json:
        print_json([about.to_json() for about in plugins])
    else:
        print(rows(plugins) or "no plug-in fits")


@plugins_app.command("show")
def plugins_show(
    name: str,
    *,
    arch: Annotated[str, typer.Option(help="The network that it is put into.")] = "unet",
    encoder: HostEncoder = "tu-resnet18",
    as_json: Json = False,
) -> None:
    """Show one plug-in: its paper, its sites, what it costs there."""
    from maskzoo.models.catalogue.discovery import describe_plugin
    from maskzoo.models.catalogue.listing import plugin_page

    record = describe_plugin(name, architecture=arch, encoder=encoder)
    print_json(record) if as_json else print(plugin_page(record))


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
