"""A comparison of models as a table and as a plot of mean IoU against latency.

The Pareto front consists of the models that no other model beats: none is at least as good and at
least as fast, and better in one of the two.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from maskzoo.training.scoring.metrics import percent

_FRONT, _BEHIND = "#2f6fde", "#8a93a3"


@dataclass(frozen=True)
class MeasuredOn:
    """The data of a score; only scores on the same data are comparable."""

    fingerprint: str
    split: str


@dataclass(frozen=True)
class ComparedModel:
    """One model of a comparison.

    Args:
        source: the folder or name that was given.
        plugins: as in its specification.
        parameters: numbers in its weights, without running statistics.
        mean_iou, boundary_iou: 0..1; None where the bundle was not measured.
        interval: the ends of the bootstrap interval of the mean IoU.
        data: of the measurement.
        latency_ms: of one image, on this machine.
        is_front: whether no other model beats it.
    """

    name: str
    source: str
    architecture: str
    encoder: str
    plugins: tuple[str, ...]
    parameters: int
    mean_iou: float | None
    boundary_iou: float | None
    interval: tuple[float, float] | None
    data: MeasuredOn
    latency_ms: float
    is_front: bool = False

    def beats(self, other: ComparedModel) -> bool:
        """Whether this model is as good and as fast as `other`, and better in one of the two."""
        if self.mean_iou is None or other.mean_iou is None:
            return False
        is_not_worse = self.mean_iou >= other.mean_iou and self.latency_ms <= other.latency_ms
        return is_not_worse and (
            self.mean_iou > other.mean_iou or self.latency_ms < other.latency_ms
        )


@dataclass(frozen=True)
class Comparison:
    """Models, the best first, and how their latency was measured.

    Args:
        size: (height, width) of the image.
        repeats: how many times each model segmented it.
    """

    models: tuple[ComparedModel, ...]
    size: tuple[int, int]
    repeats: int

    @property
    def notes(self) -> list[str]:
        """Notes for the reader of the table."""
        height, width = self.size
        notes = [f"latency: median of {self.repeats} images of {width} x {height}, on this machine"]
        if len({model.data for model in self.models if model.mean_iou is not None}) > 1:
            notes.append(
                "the scores are from different data or splits and do not compare: run maskzoo "
                "evaluate on the same data for each"
            )
        unmeasured = [model.name for model in self.models if model.mean_iou is None]
        if unmeasured:
            notes.append(f"without a score: {', '.join(unmeasured)}; run maskzoo evaluate --save")
        return notes

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            "size": list(self.size),
            "repeats": self.repeats,
            "notes": self.notes,
            "models": [asdict(model) for model in self.models],
        }

    def table(self) -> str:
        """Return the models as text for a terminal; ``*`` marks the Pareto front."""
        table = Table()
        for heading in ("", "model", "architecture", "encoder", "plug-ins"):
            table.add_column(heading, overflow="fold")
        for heading in ("M param.", "mean IoU", "interval", "boundary", "ms"):
            table.add_column(heading, justify="right", no_wrap=True)
        for model in self.models:
            interval = "-".join(f"{100 * end:.1f}" for end in model.interval or ())
            table.add_row(
                "*" if model.is_front else "",
                model.name,
                model.architecture,
                model.encoder,
                ", ".join(model.plugins) or "-",
                f"{model.parameters / 1e6:.2f}",
                percent(model.mean_iou),
                interval or "-",
                percent(model.boundary_iou),
                f"{model.latency_ms:.1f}",
            )
        text = io.StringIO()
        Console(file=text, width=120).print(table)
        return text.getvalue() + "".join(f"{note}\n" for note in self.notes)

    def plot(self, path: Path) -> Path:
        """Draw mean IoU against latency into a PNG, SVG or PDF; return its path."""
        figure = Figure(figsize=(8, 5), layout="constrained")
        FigureCanvasAgg(figure)  # without pyplot, which would keep the figure and need a display
        axes = figure.add_subplot()
        points = [
            (model, model.latency_ms, 100 * model.mean_iou)
            for model in self.models
            if model.mean_iou is not None
        ]
        front = sorted((x, y) for model, x, y in points if model.is_front)
        axes.step([x for x, _ in front], [y for _, y in front], where="post", color=_FRONT, lw=1)
        for model, x, y in points:
            colour = _FRONT if model.is_front else _BEHIND
            if model.interval:
                low, high = model.interval
                axes.vlines(x, 100 * low, 100 * high, colors=colour, alpha=0.35)
            axes.scatter([x], [y], s=46, color=colour, zorder=3)
            axes.annotate(model.name, (x, y), xytext=(7, 6), textcoords="offset points", fontsize=9)
        height, width = self.size
        axes.set_xlabel(f"milliseconds for an image of {width} x {height}, on this machine")
        axes.set_ylabel("mean IoU, %")
        axes.set_title("blue: the models that no other model beats", fontsize=10)
        axes.grid(alpha=0.25)
        axes.margins(0.15)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
        return path


def ranked_models(models: Sequence[ComparedModel]) -> tuple[ComparedModel, ...]:
    """Mark the Pareto front and sort by mean IoU, then by latency."""
    marked = [replace(model, is_front=_is_front(model, models)) for model in models]
    marked.sort(key=lambda model: (-(model.mean_iou or 0), model.latency_ms))
    return tuple(marked)


def _is_front(model: ComparedModel, others: Iterable[ComparedModel]) -> bool:
    return model.mean_iou is not None and not any(other.beats(model) for other in others)
