"""Reports of `maskzoo bench`: a table, JSON and a plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskzoo.service.client.bench import LoadRound

HEADER = f"{'load':<16}{'images/s':>9}{'MP/s':>8}{'p50':>9}{'p95':>9}{'p99':>9}  errors, batches"


def format_round(one: LoadRound) -> str:
    """Return one line of the table."""
    row = one.to_json()
    load = f"{one.load:g} clients" if one.kind == "closed" else f"{one.load:.2f}/s arrive"
    marks = "".join(f"{_milliseconds(row[key]):>9}" for key in ("p50_s", "p95_s", "p99_s"))
    errors = ", ".join(f"{count} x {code}" for code, count in row["errors"].items()) or "no errors"
    batches = " ".join(f"{size}:{count}" for size, count in row["batches"].items()) or "-"
    speed = f"{row['images_per_s']:>9.2f}{row['megapixels_per_s']:>8.2f}"
    return f"{load:<16}{speed}{marks}  {errors}; batches {batches}"


def write_rounds(rounds: Sequence[LoadRound], about: dict[str, Any], path: Path) -> None:
    """Write all numbers, with a description of the measurement."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {**about, "rounds": [one.to_json() for one in rounds]}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def plot_rounds(rounds: Sequence[LoadRound], path: Path) -> None:
    """Draw latencies over throughput, closed loops left and open loops right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, kind in zip(panels, ("closed", "open"), strict=True):
        rows = [one.to_json() for one in rounds if one.kind == kind and one.latencies]
        for key, colour in (("p50_s", "#0b6e60"), ("p95_s", "#c77d00"), ("p99_s", "#a3231b")):
            values = [1000 * row[key] for row in rows]
            across = [row["images_per_s"] if kind == "closed" else row["load"] for row in rows]
            panel.plot(across, values, "o-", color=colour, label=key.removesuffix("_s"))
        if kind == "closed":
            for row in rows:
                place = (row["images_per_s"], 1000 * row["p50_s"])
                panel.annotate(
                    f"{row['load']:g}", place, xytext=(4, -12), textcoords="offset points"
                )
        panel.set_title("closed loop, by clients" if kind == "closed" else "open loop (Poisson)")
        panel.set_xlabel("images/s answered" if kind == "closed" else "images/s arriving")
        panel.set_ylabel("latency, ms")
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        if rows:
            panel.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.1f} ms"
