"""Catalogue records as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from maskzoo.models.catalogue.about import About
from maskzoo.models.catalogue.cost import LayerCost

_INDENT = " " * 11


def rows(records: Iterable[About]) -> str:
    """Return one line for each record: name, what it does, where it was published."""
    records = list(records)
    name = max((len(record.name) for record in records), default=0)
    return "\n".join(
        f"{record.name:<{name}}  {record.idea} ({record.papers[0].venue})" for record in records
    )


def architecture_page(record: dict[str, Any]) -> str:
    """Return everything about one architecture, from `discovery.describe_architecture`."""
    auxiliary = "with a dense auxiliary head" if record["auxiliary_head"] else "without"
    cost = record["cost"]
    where = f"{cost['encoder']}, {cost['num_classes']} classes"
    lines = [
        *_head(record),
        _line("trains", auxiliary),
        _line("stride", f"{record['default_output_stride']} by default"),
        _line("cost", f"{_amount(cost)} at {_size(cost['size'])} with {where}"),
        _line("options", _options(record["options"])),
        "",
        "plug-ins, and the sites that fit them",
    ]
    fitting = sorted(
        (", ".join(sites), plugin) for plugin, sites in record["sites"].items() if sites
    )
    for sites, group in groupby(fitting, key=lambda pair: pair[0]):
        lines += _wrap("  ", ", ".join(plugin for _, plugin in group))
        lines += _wrap("    @ ", sites)
    return "\n".join(lines)


def plugin_page(record: dict[str, Any]) -> str:
    """Return everything about one plug-in, from `discovery.describe_plugin`."""
    network = record["network"]
    start = "the identity" if record["starts_as_identity"] else "not the identity"
    lines = [
        *_head(record),
        _line("start", start),
        _line("sites", ", ".join(record["places"])),
        _line("options", _options(record["options"])),
        "",
        f"what it adds to {network['architecture']} on {network['encoder']} at "
        f"{_size(network['size'])}",
    ]
    site = max((len(row["site"]) for row in record["adds"]), default=0)
    for row in record["adds"]:
        lines.append(
            f"  {row['site']:<{site}}  {row['parameters'] / 1e6:+9.3f} M parameters  "
            f"{row['macs'] / 1e9:+9.3f} GMAC"
        )
    return "\n".join(lines)


def layer_table(layers: Sequence[LayerCost]) -> str:
    """Return the layers of a network with shape, parameters and cost, one a line."""
    whole = layers[0]
    table = [("layer", "output", "parameters", "GMAC", "share")]
    for layer in layers:
        name = "  " * layer.depth + (layer.name.rpartition(".")[2] or "network")
        shape = "x".join(map(str, layer.shape[1:])) if layer.shape else ""
        share = f"{layer.macs / max(1, whole.macs):.1%}"
        table.append(
            (
                f"{name} ({layer.kind})",
                shape,
                f"{layer.parameters:,}",
                f"{layer.macs / 1e9:.3f}",
                share,
            )
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in table
    )


def _head(record: dict[str, Any]) -> list[str]:
    lines = [f"{record['name']}: {record['title']}, {record['idea']}", ""]
    for paper in record["papers"]:
        lines += [_line("paper", paper["text"]), _INDENT + paper["link"]]
    named = {name.lower(): text for name, text in record["fields"].items()}
    named |= {"differs": record["differs"], "licence": record["licence"]}
    return [*lines, *(_line(name, text) for name, text in named.items())]


def _line(name: str, text: str) -> str:
    """Return a named field; lines after the first are indented."""
    return f"{name:<10} " + text.replace("\n", "\n" + _INDENT)


def _wrap(start: str, text: str) -> list[str]:
    return textwrap.wrap(text, width=100, initial_indent=start, subsequent_indent=" " * len(start))


def _options(defaults: dict[str, Any]) -> str:
    return ", ".join(f"{name}={default}" for name, default in defaults.items()) or "none"


def _amount(cost: dict[str, Any]) -> str:
    return f"{cost['parameters'] / 1e6:.1f} M parameters, {cost['macs'] / 1e9:.1f} GMAC"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
