"""Reading a run's folder for its report: configuration, plan, log, bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from maskzoo.models.bundles.manifest import Manifest, read_manifest
from maskzoo.models.errors import DataError
from maskzoo.training.planning.decision import Decision
from maskzoo.training.report.log import RunRecords, read_records

EVALUATION = "evaluation.json"
"""The scores of a run in full: confusion matrix, calibration, times."""


@dataclass(frozen=True)
class Run:
    """A run's folder.

    Args:
        config: the text of `config.yaml`.
        plan: the decisions of `plan.json`.
        log: the records of `log.jsonl`.
        manifest: of the bundle.
    """

    folder: Path
    config: str
    plan: list[Decision]
    log: RunRecords
    manifest: Manifest


def read_run(folder: Path) -> Run:
    """Read the folder of a run that has its bundle.

    Raises:
        DataError: it is not a run, or does not have a bundle yet.
    """
    log = folder / "log.jsonl"
    if not log.is_file():
        raise DataError(
            f"{str(folder)!r} is not a run: it has no log.jsonl; give the folder that was --out of "
            "maskzoo train"
        )
    if not (folder / "bundle").is_dir():
        raise DataError(
            f"the run in {str(folder)!r} has no bundle yet: finish it with maskzoo train … --resume"
        )
    plan = folder / "plan.json"
    decisions = json.loads(plan.read_text(encoding="utf-8")) if plan.is_file() else []
    config = folder / "config.yaml"
    return Run(
        folder=folder,
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
        plan=[Decision(**decision) for decision in decisions],
        log=read_records(log),
        manifest=read_manifest(folder / "bundle"),
    )
