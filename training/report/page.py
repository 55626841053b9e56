"""report.html: the report of a run, in one self-contained file.

`ReportCollector` receives each image while it is scored; `write_report` renders its contents, the
evaluation and the run's folder with `page.html` beside this file (Jinja2). Images are data URIs,
charts are SVG.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from maskzoo.models.bundles.manifest import WEIGHTS_FILE
from maskzoo.models.bundles.records import ClassMetrics
from maskzoo.models.files import replace_file
from maskzoo.models.labels import LabelSet, hex_colour
from maskzoo.training.report.charts import bin_scores, reliability_chart
from maskzoo.training.report.confusion import most_frequent_confusions, view_matrix
from maskzoo.training.report.curves import draw_curves
from maskzoo.training.report.errors import ErrorTally
from maskzoo.training.report.gallery import Gallery
from maskzoo.training.report.run import Run, read_run
from maskzoo.training.report.speed import speed_facts
from maskzoo.training.scoring.metrics import percent
from maskzoo.training.scoring.records import Evaluation, Scored

REPORT = "report.html"


class ReportCollector:
    """Collects the report's data of each scored image: thumbnails, errors by place, sizes."""

    def __init__(self, labels: LabelSet) -> None:
        self.gallery = Gallery(labels)
        self.errors = ErrorTally(labels)
        self.image_pixels: list[int] = []

    def __call__(self, scored: Scored) -> None:
        """Take one image."""
        self.gallery.add(scored)
        self.errors.add(scored)
        self.image_pixels.append(scored.truth.size)


@dataclass(frozen=True)
class ClassRow:
    """One class in the table of the report.

    Args:
        colour: as ``#rrggbb``.
        fraction: of the counted pixels that have this class in the truth.
    """

    scores: ClassMetrics
    colour: str
    fraction: float


def write_report(folder: Path, evaluation: Evaluation, collected: ReportCollector) -> Path:
    """Write `report.html` into the folder of a finished run; return its path.

    Raises:
        DataError: the folder is not a finished run.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "count": _count, "data_uri": _data_uri}
    page = environment.get_template("page.html").render(
        _context(read_run(folder), evaluation, collected)
    )
    path = folder / REPORT
    replace_file(path, page.encode())  # so that a browser never reads half a page
    return path


def _context(run: Run, evaluation: Evaluation, collected: ReportCollector) -> dict[str, Any]:
    """Return the variables of `page.html`."""
    names = run.manifest.labels.names
    return {
        "manifest": run.manifest,
        "provenance": run.manifest.provenance,
        "scores": evaluation.scores,
        "evaluation": evaluation,
        "foreground": evaluation.foreground_scores,
        "calibration_error": evaluation.calibration.error(),
        "classes": _class_rows(evaluation, run.manifest.labels),
        "plan": run.plan,
        "config": run.config,
        "curves": draw_curves(run.log),
        "reliability": reliability_chart(
            evaluation.calibration.bins(), label="accuracy of the pixels by their confidence"
        ),
        "matrix": view_matrix(evaluation.matrix, names),
        "confusions": most_frequent_confusions(evaluation.matrix, names),
        "bands": collected.errors.bands(),
        "suspicions": collected.errors.suspicions(),
        "best": collected.gallery.best(),
        "worst": collected.gallery.worst(),
        "histogram": bin_scores(collected.gallery.scores),
        "speed": speed_facts(
            run.log.train,
            weights=run.folder / "bundle" / WEIGHTS_FILE,
            seconds_per_image=sum(evaluation.seconds_per_image.values()),
            image_pixels=collected.image_pixels,
        ),
        "versions": run.manifest.provenance.versions,
    }


def _class_rows(evaluation: Evaluation, labels: LabelSet) -> list[ClassRow]:
    total = max(1, evaluation.scores.pixels_counted)
    columns = zip(evaluation.metrics().per_class, labels.colours, strict=True)
    return [
        ClassRow(scores, hex_colour(colour), (scores.pixels or 0) / total)
        for scores, colour in columns
    ]


def _percent(value: float | None, digits: int = 1) -> str:
    return percent(value, digits=digits, missing="none")


def _count(value: int) -> str:
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return str(value)


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
