"""`maskzoo plugins`: the mechanisms that go into any network."""

from __future__ import annotations

from typing import Annotated

import typer

from maskzoo.console import HostEncoder, Json, print_json

app = typer.Typer(no_args_is_help=True, help="The mechanisms that go into any network.")


@app.command("list")
def list_names(
    pattern: Annotated[str, typer.Argument(help="Wildcards allowed.")] = "*",
    *,
    site: Annotated[
        str | None, typer.Option(help="Only those that fit this kind of site, such as skip.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the plug-ins."""
    from maskzoo.models.catalogue.discovery import about_plugin
    from maskzoo.models.catalogue.listing import summary_lines
    from maskzoo.models.registry import list_plugins

    plugins = [about_plugin(name) for name in list_plugins(pattern, place=site)]
    if as_json:
        print_json([about.to_json() for about in plugins])
    else:
        print(summary_lines(plugins) or "no plug-in fits")


@app.command("show")
def show(
    name: str,
    *,
    arch: Annotated[str, typer.Option(help="Architecture that it is put into.")] = "unet",
    encoder: HostEncoder = "tu-resnet18",
    as_json: Json = False,
) -> None:
    """Show one plug-in: its paper, its sites, and its cost there."""
    from maskzoo.models.catalogue.discovery import describe_plugin
    from maskzoo.models.catalogue.listing import plugin_page

    record = describe_plugin(name, architecture=arch, encoder=encoder)
    print_json(record.to_json()) if as_json else print(plugin_page(record))
