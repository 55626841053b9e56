"""report.html: a run that a person can read, in one file that asks for nothing else.

`Watcher` looks at each image while it is scored; `write_report` puts what it saw, the evaluation
and the run's folder into `page.html` beside this file (Jinja2). Pictures are data URIs, charts are
SVG. `report_run` does all of it again for an old run.
"""

from __future__ import annotations

import base64
import os
import platform
import resource
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import torch

from maskzoo.models.errors import DataError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.training.data.find.index import Split
from maskzoo.training.report.charts import Line, line_chart, reliability_chart, smooth
from maskzoo.training.report.errors import ErrorTally
from maskzoo.training.report.gallery import Gallery
from maskzoo.training.report.run import Run, read_run
from maskzoo.training.scoring.evaluate import (
    Evaluation,
    Scored,
    check_classes,
    evaluate_split,
    open_as_trained,
)

REPORT = "report.html"
_MOST_CONFUSIONS = 10
_WIDEST_MATRIX = 30  # classes; of more, the matrix is drawn without numbers


class Watcher:
    """Sees each scored image once, for the parts of the report that need pixels."""

    def __init__(self, labels: LabelSet) -> None:
        self.gallery = Gallery(labels)
        self.errors = ErrorTally(labels)
        self.image_pixels: list[int] = []

    def __call__(self, scored: Scored) -> None:
        """Look at one image."""
        self.gallery.add(scored)
        self.errors.add(scored)
        self.image_pixels.append(scored.truth.size)


def report_run(
    folder: Path,
    data: Path | None = None,
    *,
    device: str = "auto",
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Evaluate the bundle of a run again and write its report.

    Args:
        folder: of the run.
        data: its data; by default where the command of the run says.
        device: where to compute.
        on_image: is told the number of images done, and of all.

    Raises:
        DataError: the folder is no finished run, or its data is not there or has changed classes.
    """
    run = read_run(folder)
    where = data or _data_of(run)
    opened = open_as_trained(run.manifest, where)
    predictor = Predictor.from_bundle(folder / "bundle", device=device, engine="torch")
    check_classes(predictor.labels, opened.labels)
    watcher = Watcher(opened.labels)
    split: Split = "test" if opened.samples("test") else "val"
    evaluation = evaluate_split(
        predictor,
        opened,
        split=split,
        name=run.manifest.name,
        on_image=on_image,
        watch=watcher,
    )
    return write_report(folder, evaluation, watcher)


def write_report(folder: Path, evaluation: Evaluation, watcher: Watcher) -> Path:
    """Write `report.html` into the folder of a finished run; return its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "count": _count, "data_uri": _data_uri}
    page = environment.get_template("page.html").render(
        _context(read_run(folder), evaluation, watcher)
    )
    path = folder / REPORT
    temporary = path.with_name(REPORT + ".part")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, path)
    return path


def _context(run: Run, evaluation: Evaluation, watcher: Watcher) -> dict[str, Any]:
    labels = run.manifest.labels
    rows = evaluation.to_json()["per_class"]
    for row, colour in zip(rows, labels.colours, strict=True):
        row["colour"] = "#{:02x}{:02x}{:02x}".format(*colour)
        row["share"] = row["pixels"] / max(1, evaluation.scores.pixels_counted)
    error = evaluation.calibration.error()
    return {
        "manifest": run.manifest,
        "provenance": run.manifest.provenance,
        "scores": evaluation.scores,
        "evaluation": evaluation,
        "calibration_error": error,
        "classes": rows,
        "plan": run.plan,
        "config": run.config,
        "curves": _curves(run, evaluation),
        "reliability": reliability_chart(
            evaluation.calibration.bins(), label="accuracy of the pixels by their confidence"
        ),
        "matrix": _matrix(evaluation.matrix, labels),
        "confusions": _confusions(evaluation.matrix, labels),
        "bands": watcher.errors.bands(),
        "suspicions": watcher.errors.suspicions(),
        "best": watcher.gallery.best(),
        "worst": watcher.gallery.worst(),
        "histogram": _histogram(watcher.gallery.scores),
        "speed": _speed(run, evaluation, watcher),
        "versions": run.manifest.provenance.get("versions", {}),
    }


def _curves(run: Run, evaluation: Evaluation) -> list[dict[str, str]]:
    """Return title, note and SVG of each curve that the log has points for."""
    train, val = run.of_kind("train"), run.of_kind("val")
    losses = [(row["step"], row["loss"]) for row in train if row.get("loss") is not None]
    smoothed = smooth(losses, 0.95)
    scores = [(row["step"], row["mean_iou"]) for row in val if row["mean_iou"] is not None]
    rates = [(row["step"], max(row["lr"])) for row in train if row.get("lr")]
    best = max(scores, key=lambda point: point[1], default=None)
    whole = (0, max((row["step"] for row in (*train, *val)), default=1))
    charts = [
        {
            "title": "Loss",
            "note": f"{smoothed[-1][1]:.4f} at the end, smoothed" if smoothed else "",
            "svg": line_chart(
                [Line("loss of a step", losses, is_faint=True), Line("smoothed", smoothed)],
                label="training loss by step",
                x_range=whole,
                from_zero=True,
            ),
        },
        {
            "title": "Validation mean IoU",
            "note": f"best {best[1]:.4f} at step {best[0]}" if best else "",
            "svg": line_chart(
                [Line("mean IoU", scores, has_dots=len(scores) <= 60)],
                label="validation mean IoU by step",
                x_range=whole,
            ),
        },
        {
            "title": "Learning rate",
            "note": f"peak {max(rate for _, rate in rates):.3g}" if rates else "",
            "svg": line_chart(
                [Line("highest learning rate of a group", rates)],
                label="learning rate by step",
                x_range=whole,
                from_zero=True,
            ),
        },
    ]
    return [chart for chart in charts if chart["svg"]]


def _matrix(counts: np.ndarray, labels: LabelSet) -> dict[str, Any]:
    """Return the confusion matrix as shares of each row of the truth."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    rows = [
        {"name": name, "pixels": int(total), "shares": row.tolist()}
        for name, total, row in zip(labels.names, totals[:, 0], shares, strict=True)
    ]
    return {"rows": rows, "names": labels.names, "has_numbers": len(rows) <= _WIDEST_MATRIX}


def _confusions(counts: np.ndarray, labels: LabelSet) -> list[dict[str, Any]]:
    """Return the most frequent wrong pairs of classes."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    total = max(1, int(wrong.sum()))
    pairs = [np.unravel_index(index, wrong.shape) for index in order]
    return [
        {
            "truth": labels.names[truth],
            "found": labels.names[found],
            "pixels": int(wrong[truth, found]),
            "of_errors": int(wrong[truth, found]) / total,
            "of_class": int(wrong[truth, found]) / int(counts[truth].sum()),
        }
        for truth, found in pairs
        if wrong[truth, found]
    ]


def _histogram(scores: list[float]) -> list[dict[str, Any]]:
    counts, edges = np.histogram(scores, bins=10, range=(0, 1))
    most = max(1, int(counts.max(initial=0)))
    return [
        {"low": low, "count": int(count), "height": int(count) / most}
        for low, count in zip(edges[:-1], counts, strict=True)
    ]


def _speed(run: Run, evaluation: Evaluation, watcher: Watcher) -> list[tuple[str, str]]:
    """Return what is known of time and memory, as words and values."""
    train = run.of_kind("train")
    facts: list[tuple[str, str]] = []
    if train:
        last = train[-1]
        facts.append(("training", f"{last['images_per_s']:.1f} images/s"))
        facts.append(("of that waiting for data", f"{100 * last['wait_share']:.1f} %"))
    seconds = sum(evaluation.seconds_per_image.values())
    if seconds and watcher.image_pixels:
        megapixels = float(np.mean(watcher.image_pixels)) / 1e6
        facts.append(
            ("prediction here", f"{1000 * seconds:.0f} ms for an image of {megapixels:.2f} MP")
        )
        facts.append(("that is", f"{megapixels / seconds:.2f} megapixels/s"))
    scale = 1024 if sys.platform != "darwin" else 1  # of ru_maxrss
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    facts.append(("memory of this process, at most", f"{peak / 2**30:.2f} GiB"))
    if torch.cuda.is_available():
        used = torch.cuda.max_memory_allocated()
        facts.append((f"memory on {torch.cuda.get_device_name()}", f"{used / 2**30:.2f} GiB"))
    weights = run.folder / "bundle" / "model.safetensors"
    if weights.is_file():
        facts.append(("weights on disk", f"{weights.stat().st_size / 1e6:.1f} MB"))
    facts.append(("machine", f"{_processor()}, {os.cpu_count()} cores"))
    return facts


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _data_of(run: Run) -> Path:
    """Return the data folder that the command of a run names."""
    words = shlex.split(run.manifest.provenance.get("command", ""))
    given = Path(words[2]) if words[:2] == ["maskzoo", "train"] and len(words) > 2 else None
    if given is None or not given.exists():
        raise DataError(
            f"the data of the run in {str(run.folder)!r} is not at {str(given)!r}: name its folder "
            f"by maskzoo report {run.folder} DATA"
        )
    return given


def _percent(value: float | None, digits: int = 1) -> str:
    return "none" if value is None else f"{100 * value:.{digits}f}"


def _count(value: int) -> str:
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return str(value)


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
