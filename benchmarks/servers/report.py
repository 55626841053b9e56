"""The peers' part of docs/peers.md, and its plot."""

from __future__ import annotations

import argparse
import statistics
from typing import TYPE_CHECKING

import numpy as np

from page import about, put, table
from servers.environment import versions

if TYPE_CHECKING:
    from peers import Contender

_PACKAGES = {
    "FastAPI": "fastapi",
    "LitServe": "litserve",
    "BentoML": "bentoml",
    "Ray Serve": "ray",
}
_SPEED = (
    "server",
    "images/s",
    "against FastAPI",
    "against the best peer",
    "p50, ms",
    "p99, ms",
    "answers",
)
_OTHER = ("server", "version", "setting", "first mask after, s", "peak memory, MiB", "agreement")


def write_report(
    options: argparse.Namespace,
    found: list[Contender],
    sizes: dict[str, tuple[int, int] | None],
    clients: int,
) -> None:
    """Print the tables and put them into the page."""
    parts = [
        f"{about('torch', 'openvino', 'nncf')}. {clients} clients in a closed loop, "
        f"{options.rounds} rounds; images/s is the median of the rounds (least to most), p50 and "
        "p99 are of all answers together."
    ]
    for size, shape in sizes.items():
        title = size if shape is None else f"{size}, {shape[1]} x {shape[0]}"
        parts += [f"**{title}**", table(_SPEED, [_speed(one, size, found) for one in found])]
    parts += ["**start, memory, answers**", table(_OTHER, [_other(one) for one in found])]
    text = "\n\n".join(parts)
    print(text)
    put(options.out / "peers.md", options.network, f"{text}\n\n![]({options.network}-peers.png)")
    _draw(options, found, list(sizes))


def _rate(one: Contender, size: str) -> float:
    return statistics.median(found.images_per_s for found in one.rounds[size])


def _speed(one: Contender, size: str, found: list[Contender]) -> list[object]:
    if size not in one.rounds:
        return [one.name, f"not measured: {_short(one.missing)}", *[""] * 5]
    rates = [result.images_per_s for result in one.rounds[size]]
    waits = [wait for result in one.rounds[size] for wait in result.latencies]
    p50, p99 = np.percentile(waits, [50, 99]) * 1000
    peers = {other.name: _rate(other, size) for other in found if size in other.rounds}
    peers = {name: rate for name, rate in peers.items() if name in _PACKAGES}
    return [
        one.name,
        f"{_rate(one, size):.2f} ({min(rates):.2f}–{max(rates):.2f})",  # noqa: RUF001
        _ratio(one, size, peers.get("FastAPI")),
        _ratio(one, size, max(peers.values(), default=None)),
        f"{p50:.0f}",
        f"{p99:.0f}",
        len(waits),
    ]


def _ratio(one: Contender, size: str, base: float | None) -> str:
    return "" if base is None else f"{_rate(one, size) / base:.2f}x"


def _other(one: Contender) -> list[object]:
    version = versions().get(_PACKAGES.get(one.name, ""), "this one")
    setting = ", ".join(f"{key} {value}" for key, value in one.setting.items()) or "defaults"
    if not one.cold_start_s or one.agreement is None:
        return [one.name, version, f"not measured: {_short(one.missing)}", "", "", ""]
    start = statistics.median(one.cold_start_s)
    agreement = f"{100 * one.agreement:.3f} %" + (f"; {one.note}" if one.note else "")
    if one.missing is not None:
        agreement += f"; later it failed: {_short(one.missing)}"
    return [
        one.name,
        version,
        setting,
        f"{start:.1f} ({min(one.cold_start_s):.1f}–{max(one.cold_start_s):.1f})",  # noqa: RUF001
        f"{one.peak_bytes / 2**20:.0f}",
        agreement,
    ]


def _short(reason: str | None) -> str:
    """Return a reason that fits into a table."""
    return " ".join((reason or "it was left out").split()).replace("|", "/")[:200]


def _draw(options: argparse.Namespace, found: list[Contender], sizes: list[str]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [one for one in found if one.rounds]
    figure, panels = pyplot.subplots(
        1, len(sizes), figsize=(2 + 2 * len(sizes), 3), layout="constrained", squeeze=False
    )
    for panel, size in zip(panels[0], sizes, strict=True):
        colours = ["#0b6e60" if one.name.startswith("maskzoo") else "#9aa5a3" for one in shown]
        rates = [_rate(one, size) if size in one.rounds else 0.0 for one in shown]
        panel.barh([one.name for one in shown], rates, color=colours)
        panel.set_title(f"{size}, images/s", fontsize=9)
        panel.invert_yaxis()
        panel.tick_params(labelsize=8)
        if size != sizes[0]:
            panel.set_yticklabels([])
    figure.savefig(options.out / f"{options.network}-peers.png", dpi=90)
    pyplot.close(figure)
