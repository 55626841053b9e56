"""Records of architectures and plug-ins, with their options, sites and cost.

Everything comes from the tables of `models.registry`, from the docstrings
(`models.catalogue.about`), from constructors and from `models.catalogue.cost`; nothing is
duplicated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from maskzoo.models.catalogue.about import About, read_about
from maskzoo.models.catalogue.cost import LayerCost, measure_cost
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.options import option_defaults
from maskzoo.models.registry import (
    create_model,
    get_architecture,
    get_plugin,
    list_models,
    list_plugins,
    list_sites,
)

# The network in which a plug-in's cost is shown by default; it has every site.
HOST = "unet"


def about_architecture(name: str) -> About:
    """Return the record of one architecture; raises UnknownNameError."""
    return read_about(name, get_architecture(name))


def about_plugin(name: str) -> About:
    """Return the record of one plug-in; raises UnknownNameError."""
    return read_about(name, get_plugin(name).constructor)


def describe_architecture(
    name: str, *, encoder: str, num_classes: int = 19, size: tuple[int, int] = (512, 512)
) -> dict[str, Any]:
    """Return an architecture's record, options, cost on `encoder`, and the plug-ins that fit.

    Raises:
        UnknownNameError: the architecture or the encoder does not exist.
    """
    about = about_architecture(name)
    architecture = get_architecture(name)
    network = create_model(name, encoder=encoder, num_classes=num_classes)
    return about.to_json() | {
        "auxiliary_head": architecture.uses_auxiliary,
        "default_output_stride": architecture.default_output_stride,
        "options": option_defaults(architecture, DecoderSetup),
        "cost": _cost(measure_cost(network, size), encoder, num_classes, size),
        "sites": {plugin: list_sites(network, plugin) for plugin in list_plugins()},
    }


def describe_plugin(
    name: str, *, architecture: str = HOST, encoder: str, size: tuple[int, int] = (512, 512)
) -> dict[str, Any]:
    """Return a plug-in's record, options, and what it adds at one site of each kind.

    Raises:
        UnknownNameError: the plug-in, the architecture or the encoder does not exist.
    """
    about, entry = about_plugin(name), get_plugin(name)
    bare = create_model(architecture, encoder=encoder, num_classes=19)
    before = measure_cost(bare, size)
    sites = _one_of_each_kind(list_sites(bare, name))
    added = [_added(name, site, architecture, encoder, before, size) for site in sites]
    return about.to_json() | {
        "places": entry.places,
        "starts_as_identity": entry.starts_as_identity,
        "options": option_defaults(entry.constructor),
        "network": {"architecture": architecture, "encoder": encoder, "size": size},
        "adds": added,
    }


def architecture_costs(encoder: str) -> Iterator[dict[str, Any]]:
    """Yield name, parameters and multiply-accumulates at 512 x 512 of every architecture."""
    for name in list_models():
        cost = measure_cost(create_model(name, encoder=encoder, num_classes=19))
        yield {"name": name, "parameters": cost.parameters, "macs": cost.macs}


def plugin_costs(encoder: str) -> Iterator[dict[str, Any]]:
    """Yield the cost that every plug-in adds to `HOST` at 512 x 512, at its first kind of site."""
    bare = create_model(HOST, encoder=encoder, num_classes=19)
    before = measure_cost(bare)
    for name in list_plugins():
        site = _one_of_each_kind(list_sites(bare, name))[0]
        yield {"name": name} | _added(name, site, HOST, encoder, before, (512, 512))


def _added(
    name: str,
    site: str,
    architecture: str,
    encoder: str,
    before: LayerCost,
    size: tuple[int, int],
) -> dict[str, Any]:
    """Return the cost that one plug-in at one site adds to the bare network."""
    plugins = [f"{name}@{site}"]
    network = create_model(architecture, encoder=encoder, num_classes=19, plugins=plugins)
    cost = measure_cost(network, size)
    return {
        "site": site,
        "parameters": cost.parameters - before.parameters,
        "macs": cost.macs - before.macs,
    }


def _cost(cost: LayerCost, encoder: str, num_classes: int, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "encoder": encoder,
        "num_classes": num_classes,
        "size": size,
        "parameters": cost.parameters,
        "macs": cost.macs,
    }


def _one_of_each_kind(sites: list[str]) -> list[str]:
    """Return the deepest site of each kind; ``encoder.2`` and ``encoder.4`` are of one kind."""
    kinds = {"".join(letter for letter in site if not letter.isdigit()): site for site in sites}
    return list(kinds.values())
