"""Rebuilding the report of an old run: its bundle is evaluated again on the run's data."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.training.data.records.samples import Split
from maskzoo.training.report.page import ReportCollector, write_report
from maskzoo.training.report.run import Run, read_run
from maskzoo.training.scoring.bundle import open_as_trained
from maskzoo.training.scoring.evaluate import check_same_classes, evaluate_split
from maskzoo.training.scoring.sparing import SparingPredictor


def rebuild_report(
    folder: Path,
    data: Path | None = None,
    *,
    device: str = "auto",
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Evaluate the bundle of a run again and write its report.

    Args:
        folder: of the run.
        data: its data; by default as recorded in the run's command.
        device: of the computation.
        on_image: called with the number of images done, and of all.

    Returns:
        The path of the report.

    Raises:
        DataError: the folder is not a finished run, or its data is missing or has other classes.
    """
    run = read_run(folder)
    opened = open_as_trained(run.manifest, data or _data_of(run))
    predictor = Predictor.from_bundle(folder / "bundle", device=device)
    check_same_classes(predictor.labels, opened.labels)
    collector = ReportCollector(opened.labels)
    split: Split = "test" if opened.samples("test") else "val"
    evaluation = evaluate_split(
        SparingPredictor(predictor),
        opened,
        split=split,
        name=run.manifest.name,
        on_image=on_image,
        on_scored=collector,
    )
    return write_report(folder, evaluation, collector)


def _data_of(run: Run) -> Path:
    """Return the data folder that the command of a run names."""
    words = shlex.split(run.manifest.provenance.command or "")
    given = Path(words[2]) if words[:2] == ["maskzoo", "train"] and len(words) > 2 else None
    if given is None or not given.exists():
        raise DataError(
            f"the data of the run in {str(run.folder)!r} is not at {str(given)!r}: name its folder "
            f"with maskzoo report {run.folder} DATA"
        )
    return given
