"""Catalogue records as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from maskzoo.models.catalogue.about import About
from maskzoo.models.catalogue.cost import LayerCost
from maskzoo.models.catalogue.records import ArchitectureRecord, CostRow, PluginRecord

_INDENT = " " * 11


def summary_lines(records: Iterable[About]) -> str:
    """Return one line for each record: name, what it does, where it was published."""
    records = list(records)
    name = max((len(record.name) for record in records), default=0)
    return "\n".join(
        f"{record.name:<{name}}  {record.idea} ({record.papers[0].venue})" for record in records
    )


def cost_line(row: CostRow, *, width: int) -> str:
    """Return stride, size and cost of one architecture on an encoder; `width` is of its name."""
    start = f"{row.name:<{width}}  stride {row.stride:>2}"
    if row.cost is None:
        return f"{start}  does not take this encoder: {row.refusal}"
    parameters, gmac = row.cost.parameters / 1e6, row.cost.macs / 1e9
    return f"{start}  {parameters:7.1f} M parameters  {gmac:7.1f} GMAC  {row.cost_class}"


def architecture_page(record: ArchitectureRecord) -> str:
    """Return everything about one architecture."""
    auxiliary = "with a dense auxiliary head" if record.auxiliary_head else "without"
    cost = record.cost
    amount = f"{cost.parameters / 1e6:.1f} M parameters, {cost.macs / 1e9:.1f} GMAC"
    where = f"{_size(cost.size)} with {cost.encoder}, {cost.num_classes} classes"
    lines = [
        *_head(record.about),
        _line("trains", auxiliary),
        _line("stride", f"{record.default_output_stride} by default"),
        _line("cost", f"{amount} at {where}"),
        _line("options", _options(record.options)),
        "",
        "plug-ins, and the sites that fit them",
    ]
    fitting = sorted((", ".join(sites), plugin) for plugin, sites in record.sites.items() if sites)
    for sites, group in groupby(fitting, key=lambda pair: pair[0]):
        lines += _wrap("  ", ", ".join(plugin for _, plugin in group))
        lines += _wrap("    @ ", sites)
    return "\n".join(lines)


def plugin_page(record: PluginRecord) -> str:
    """Return everything about one plug-in."""
    network = record.network
    start = "the identity" if record.starts_as_identity else "not the identity"
    lines = [
        *_head(record.about),
        _line("start", start),
        _line("sites", ", ".join(record.places)),
        _line("options", _options(record.options)),
        "",
        f"what it adds to {network.architecture} on {network.encoder} at {_size(network.size)}",
    ]
    width = max((len(cost.site) for cost in record.adds), default=0)
    for cost in record.adds:
        lines.append(
            f"  {cost.site:<{width}}  {cost.parameters / 1e6:+9.3f} M parameters  "
            f"{cost.macs / 1e9:+9.3f} GMAC"
        )
    return "\n".join(lines)


def layer_table(layers: Sequence[LayerCost]) -> str:
    """Return the layers of a network with shape, parameters and cost, one a line."""
    whole = layers[0]
    table = [("layer", "output", "parameters", "GMAC", "fraction")]
    for layer in layers:
        name = "  " * layer.depth + (layer.name.rpartition(".")[2] or "network")
        shape = "x".join(map(str, layer.shape[1:])) if layer.shape else ""
        fraction = f"{layer.macs / max(1, whole.macs):.1%}"
        table.append(
            (
                f"{name} ({layer.kind})",
                shape,
                f"{layer.parameters:,}",
                f"{layer.macs / 1e9:.3f}",
                fraction,
            )
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in table
    )


def _head(about: About) -> list[str]:
    lines = [f"{about.name}: {about.title}, {about.idea}", ""]
    for paper in about.papers:
        lines += [_line("paper", paper.text), _INDENT + paper.link]
    named = {name.lower(): text for name, text in about.fields.items()}
    named |= {"differs": about.differs, "licence": about.licence}
    return [*lines, *(_line(name, text) for name, text in named.items())]


def _line(name: str, text: str) -> str:
    """Return a named field; lines after the first are indented."""
    return f"{name:<10} " + text.replace("\n", "\n" + _INDENT)


def _wrap(start: str, text: str) -> list[str]:
    return textwrap.wrap(text, width=100, initial_indent=start, subsequent_indent=" " * len(start))


def _options(defaults: dict[str, Any]) -> str:
    return ", ".join(f"{name}={default}" for name, default in defaults.items()) or "none"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
