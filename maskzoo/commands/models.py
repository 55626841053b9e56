"""`maskzoo models`: the architectures and the shipped bundles."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maskzoo.console import HostEncoder, Json, print_json

app = typer.Typer(no_args_is_help=True, help="The architectures and the shipped bundles.")


@app.command("list")
def list_architectures(
    pattern: Annotated[str, typer.Argument(help="Wildcards allowed.")] = "*",
    *,
    encoder: Annotated[
        str | None,
        typer.Option(help="Show stride, size and cost of each architecture on this encoder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the architectures and the shipped bundles, or what each costs on an encoder."""
    from fnmatch import fnmatch

    from maskzoo import list_models
    from maskzoo.models.bundles.manifest import read_manifest
    from maskzoo.models.bundles.shipped import list_bundles
    from maskzoo.models.catalogue.discovery import about_architecture
    from maskzoo.models.catalogue.listing import summary_lines

    if encoder is not None:
        _list_costs(list_models(pattern), encoder, as_json=as_json)
        return
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
    print(summary_lines(architectures))
    for item in manifests:
        print(f"bundle {item.name}: {item.spec.architecture}, {', '.join(item.labels.names)}")


def _list_costs(names: list[str], encoder: str, *, as_json: bool) -> None:
    from maskzoo.models.catalogue.discovery import cost_rows
    from maskzoo.models.catalogue.encoders import code_licence
    from maskzoo.models.catalogue.listing import cost_line
    from maskzoo.models.catalogue.records import COST_CLASSES

    if not names:
        print("no architecture has that name", file=sys.stderr)
        return
    licence = code_licence(encoder)
    if as_json:
        rows = [row.to_json() for row in cost_rows(names, encoder=encoder)]
        print_json({"encoder": encoder, "licence": licence or None, "architectures": rows})
        return
    bounds = [f"{name} below {limit:.0f}" for name, limit in list(COST_CLASSES.items())[:-1]]
    print(f"with {encoder} on an image of 512 x 512, 19 classes; by GMAC: {', '.join(bounds)}")
    if licence:
        print(licence)
    for row in cost_rows(names, encoder=encoder):  # each takes a second, so one after the other
        print(cost_line(row, width=max(map(len, names))))


@app.command("show")
def show(name: str, *, encoder: HostEncoder = "tu-resnet50c", as_json: Json = False) -> None:
    """Show one architecture or one bundle."""
    from maskzoo.models.bundles.manifest import read_manifest
    from maskzoo.models.bundles.shipped import find_bundle, list_bundles
    from maskzoo.models.catalogue.discovery import describe_architecture
    from maskzoo.models.catalogue.listing import architecture_page
    from maskzoo.models.errors import UnknownNameError
    from maskzoo.models.tables.architectures import ARCHITECTURES

    if name in ARCHITECTURES:
        record = describe_architecture(name, encoder=encoder)
        print_json(record.to_json()) if as_json else print(architecture_page(record))
        return
    shipped = [path.name for path in list_bundles()]
    if name not in shipped and not Path(name).exists():
        raise UnknownNameError("architecture or bundle", name, [*ARCHITECTURES, *shipped])
    print(read_manifest(find_bundle(name)).model_dump_json(indent=2))


@app.command("summary")
def summary(
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
