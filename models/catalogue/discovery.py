"""Records of architectures and plug-ins, with their options, sites and cost.

Everything comes from the tables of `models.tables`, from the docstrings
(`models.catalogue.about`), from constructors and from `models.catalogue.cost`; nothing is
duplicated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from maskzoo.models.catalogue.about import About, read_about
from maskzoo.models.catalogue.cost import LayerCost, measure_cost
from maskzoo.models.catalogue.records import (
    AddedCost,
    ArchitectureRecord,
    CostRow,
    HostNetwork,
    NetworkCost,
    PluginRecord,
)
from maskzoo.models.errors import UnknownNameError, ZooError
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.network.network import SegmentationNetwork
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
) -> ArchitectureRecord:
    """Return an architecture's record, with its cost on `encoder` and the plug-ins that fit.

    Raises:
        UnknownNameError: the architecture or the encoder does not exist.
    """
    architecture = get_architecture(name)
    network = create_model(name, encoder=encoder, num_classes=num_classes)
    cost = measure_cost(network, size)
    return ArchitectureRecord(
        about=about_architecture(name),
        auxiliary_head=architecture.uses_auxiliary,
        default_output_stride=architecture.default_output_stride,
        options=option_defaults(architecture, DecoderSetup),
        cost=NetworkCost(encoder, num_classes, size, cost.parameters, cost.macs),
        sites={plugin: list_sites(network, plugin) for plugin in list_plugins()},
    )


def describe_plugin(
    name: str, *, architecture: str = HOST, encoder: str, size: tuple[int, int] = (512, 512)
) -> PluginRecord:
    """Return a plug-in's record, with what it adds at one site of each kind.

    Raises:
        UnknownNameError: the plug-in, the architecture or the encoder does not exist.
    """
    entry = get_plugin(name)
    host = HostNetwork(architecture, encoder, size)
    without = _build(host)
    before = measure_cost(without, size)
    sites = _one_of_each_kind(list_sites(without, name))
    return PluginRecord(
        about=about_plugin(name),
        places=entry.places,
        starts_as_identity=entry.starts_as_identity,
        options=option_defaults(entry.constructor),
        network=host,
        adds=tuple(_measure_added(name, site, host, before) for site in sites),
    )


def cost_rows(
    names: Iterable[str], *, encoder: str, num_classes: int = 19, size: tuple[int, int] = (512, 512)
) -> Iterator[CostRow]:
    """Yield the cost of each architecture on `encoder`, or why it does not take it.

    Raises:
        UnknownNameError: an architecture or the encoder does not exist.
    """
    for name in names:
        stride = get_architecture(name).default_output_stride
        try:
            cost = measure_cost(create_model(name, encoder=encoder, num_classes=num_classes), size)
        except UnknownNameError:
            raise
        except ZooError as error:
            yield CostRow(name, stride, None, " ".join(str(error).split()))
        else:
            whole = NetworkCost(encoder, num_classes, size, cost.parameters, cost.macs)
            yield CostRow(name, stride, whole)


def architecture_costs(encoder: str) -> Iterator[tuple[str, LayerCost]]:
    """Yield the name and the cost at 512 x 512 of every architecture."""
    for name in list_models():
        yield name, measure_cost(create_model(name, encoder=encoder, num_classes=19))


def plugin_costs(encoder: str) -> Iterator[AddedCost]:
    """Yield what every plug-in adds to `HOST` at 512 x 512, at the first of its kinds of sites."""
    host = HostNetwork(HOST, encoder)
    without = _build(host)
    before = measure_cost(without)
    for name in list_plugins():
        site = _one_of_each_kind(list_sites(without, name))[0]
        yield _measure_added(name, site, host, before)


def _build(host: HostNetwork, *plugins: str) -> SegmentationNetwork:
    return create_model(host.architecture, encoder=host.encoder, num_classes=19, plugins=plugins)


def _measure_added(name: str, site: str, host: HostNetwork, before: LayerCost) -> AddedCost:
    """Return what one plug-in at one site adds to `before`, the cost without it."""
    cost = measure_cost(_build(host, f"{name}@{site}"), host.size)
    return AddedCost(name, site, cost.parameters - before.parameters, cost.macs - before.macs)


def _one_of_each_kind(sites: list[str]) -> list[str]:
    """Return the deepest site of each kind; ``encoder.2`` and ``encoder.4`` are of one kind."""
    kinds = {"".join(letter for letter in site if not letter.isdigit()): site for site in sites}
    return list(kinds.values())
