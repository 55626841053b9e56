"""Comparison of runs and bundles: scores, and latency on this machine.

Scores are those that each bundle was given when it was made (`training.scoring.evaluate`); they
compare only where data and split are the same, and it is said where they are not. Latency is
measured here, through the predictor, whole images of one size: the models take turns, so that what
else the machine does falls on all of them, and the median of the turns counts.

The front are the models that no other beats: none is at least as good and as fast, and better in
one of the two (Pareto).
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from safetensors import safe_open

from maskzoo.models.bundles.manifest import WEIGHTS_FILE, Manifest, read_manifest
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.errors import DataError, ZooError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.training.scoring.metrics import percent

_FRONT, _BEHIND = "#2f6fde", "#8a93a3"


@dataclass(frozen=True)
class Entry:
    """One model of a comparison.

    Args:
        source: the folder or name that was given.
        plugins: as in its specification.
        parameters: numbers in its weights.
        mean_iou, boundary_iou: 0..1; None where the bundle was not measured.
        interval: the ends of the bootstrap interval of the mean IoU.
        data: fingerprint and split that it was measured on.
        latency_ms: of one image, here.
        is_front: whether no other beats it.
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
    data: tuple[str, str]
    latency_ms: float
    is_front: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        fingerprint, split = self.data
        return asdict(self) | {"data": {"fingerprint": fingerprint, "split": split}}


@dataclass(frozen=True)
class Comparison:
    """Models, the best first, and how their latency was measured."""

    entries: tuple[Entry, ...]
    size: tuple[int, int]
    repeats: int

    @property
    def notes(self) -> list[str]:
        """What must be known to read the table."""
        height, width = self.size
        found = [f"latency: median of {self.repeats} images of {width} x {height}, on this machine"]
        if len({entry.data for entry in self.entries if entry.mean_iou is not None}) > 1:
            found.append(
                "the scores are of different data or splits and do not compare: run maskzoo "
                "evaluate on the same data for each"
            )
        unmeasured = [entry.name for entry in self.entries if entry.mean_iou is None]
        if unmeasured:
            found.append(f"without a score: {', '.join(unmeasured)}; see maskzoo evaluate")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            "size": list(self.size),
            "repeats": self.repeats,
            "notes": self.notes,
            "models": [entry.to_json() for entry in self.entries],
        }

    def table(self) -> str:
        """Return the models as text for a terminal; ``*`` marks the front."""
        table = Table()
        for heading in ("", "model", "architecture", "encoder", "plug-ins"):
            table.add_column(heading, overflow="fold")
        for heading in ("M param.", "mean IoU", "interval", "boundary", "ms"):
            table.add_column(heading, justify="right", no_wrap=True)
        for entry in self.entries:
            low_high = entry.interval and "-".join(f"{100 * end:.1f}" for end in entry.interval)
            table.add_row(
                "*" if entry.is_front else "",
                entry.name,
                entry.architecture,
                entry.encoder,
                ", ".join(entry.plugins) or "-",
                f"{entry.parameters / 1e6:.2f}",
                percent(entry.mean_iou),
                low_high or "-",
                percent(entry.boundary_iou),
                f"{entry.latency_ms:.1f}",
            )
        text = io.StringIO()
        Console(file=text, width=120).print(table)
        return text.getvalue() + "".join(f"{note}\n" for note in self.notes)

    def plot(self, path: Path) -> Path:
        """Draw mean IoU against latency into a PNG, SVG or PDF; return its path."""
        figure = Figure(figsize=(8, 5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        shown = [entry for entry in self.entries if entry.mean_iou is not None]
        front = sorted(
            (entry.latency_ms, 100 * (entry.mean_iou or 0)) for entry in shown if entry.is_front
        )
        axes.step([x for x, _ in front], [y for _, y in front], where="post", color=_FRONT, lw=1)
        for entry in shown:
            x, y = entry.latency_ms, 100 * (entry.mean_iou or 0)
            colour = _FRONT if entry.is_front else _BEHIND
            if entry.interval:
                low, high = entry.interval
                axes.vlines(x, 100 * low, 100 * high, colors=colour, alpha=0.35)
            axes.scatter([x], [y], s=46, color=colour, zorder=3)
            axes.annotate(entry.name, (x, y), xytext=(7, 6), textcoords="offset points", fontsize=9)
        height, width = self.size
        axes.set_xlabel(f"milliseconds for an image of {width} x {height}, on this machine")
        axes.set_ylabel("mean IoU, %")
        axes.set_title("what no other model beats is blue", fontsize=10)
        axes.grid(alpha=0.25)
        axes.margins(0.15)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
        return path


def compare(
    sources: Sequence[str],
    *,
    size: tuple[int, int] = (512, 512),
    repeats: int = 7,
    device: str = "auto",
    engine: str = "auto",
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Read and measure models.

    Args:
        sources: folders of runs or bundles, or names of shipped bundles.
        size: (height, width) of the image that latency is measured on.
        repeats: turns of each model.
        device, engine: as for the predictor.
        clock: seconds.

    Raises:
        DataError: lists every source that is neither a run with a bundle nor a bundle.
    """
    folders = _find_all(sources)
    names = _distinct_names(folders)
    predictors = [Predictor.from_bundle(folder, device=device, engine=engine) for folder in folders]
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    seconds: list[list[float]] = [[] for _ in predictors]
    for turn in range(repeats + 1):
        for predictor, taken in zip(predictors, seconds, strict=True):
            begun = clock()
            predictor.segment(image, mode="whole", confidence=False)
            took = clock() - begun
            if turn:  # the first one warms up
                taken.append(took)
    entries = [
        _entry(name, source, folder, 1000 * statistics.median(taken))
        for name, source, folder, taken in zip(names, sources, folders, seconds, strict=True)
    ]
    entries = [replace(entry, is_front=_is_front(entry, entries)) for entry in entries]
    entries.sort(key=lambda entry: (-(entry.mean_iou or 0), entry.latency_ms))
    return Comparison(tuple(entries), size, repeats)


def _find_all(sources: Sequence[str]) -> list[Path]:
    found, mistakes = [], []
    for source in sources:
        run = Path(source)
        try:
            inside = (run / "bundle").is_dir() and (run / "log.jsonl").is_file()
            found.append(find_bundle(str(run / "bundle") if inside else source))
        except ZooError as error:
            unfinished = (run / "log.jsonl").is_file()
            mistakes.append(
                f"the run {source!r} has no bundle yet: finish it by --resume"
                if unfinished
                else str(error)
            )
    if mistakes:
        raise DataError("\n".join(mistakes))
    return found


def _distinct_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of bundles; where two are equal, with the folder of their run."""
    names = [read_manifest(folder).name for folder in folders]
    return [
        f"{name} ({folder.resolve().parent.name})" if names.count(name) > 1 else name
        for name, folder in zip(names, folders, strict=True)
    ]


def _entry(name: str, source: str, folder: Path, latency_ms: float) -> Entry:
    manifest = read_manifest(folder)
    metrics = manifest.metrics
    interval = metrics.mean_iou_interval
    return Entry(
        name=name,
        source=source,
        architecture=manifest.spec.architecture,
        encoder=manifest.spec.encoder,
        plugins=tuple(str(plugin) for plugin in manifest.spec.plugins),
        parameters=_count_parameters(folder),
        mean_iou=metrics.mean_iou,
        boundary_iou=metrics.mean_boundary_iou,
        interval=(interval.low, interval.high) if interval else None,
        data=_measured_on(manifest),
        latency_ms=latency_ms,
    )


def _measured_on(manifest: Manifest) -> tuple[str, str]:
    metrics = manifest.metrics
    return metrics.data_fingerprint or "", metrics.split or ""


def _count_parameters(folder: Path) -> int:
    """Count the numbers in the weights, running statistics left out."""
    with safe_open(folder / WEIGHTS_FILE, "np") as tensors:
        names = [name for name in tensors.keys() if not _is_statistic(name)]  # noqa: SIM118
        return sum(int(np.prod(tensors.get_slice(name).get_shape())) for name in names)


def _is_statistic(name: str) -> bool:
    return name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")


def _is_front(entry: Entry, others: Sequence[Entry]) -> bool:
    if entry.mean_iou is None:
        return False
    return not any(_beats(other, entry) for other in others)


def _beats(one: Entry, other: Entry) -> bool:
    if one.mean_iou is None or other.mean_iou is None:
        return False
    not_worse = one.mean_iou >= other.mean_iou and one.latency_ms <= other.latency_ms
    return not_worse and (one.mean_iou, one.latency_ms) != (other.mean_iou, other.latency_ms)
