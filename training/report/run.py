"""What the folder of a run holds, read back for its report: configuration, plan, log, bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.models.bundles.bundle import Manifest, read_manifest
from maskzoo.models.errors import DataError
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.planning.decisions import Decision

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
    log: list[dict[str, Any]]
    manifest: Manifest

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Return the records of the log that are ``train`` or ``val``."""
        return [record for record in self.log if record["kind"] == kind]


def read_run(folder: Path) -> Run:
    """Read the folder of a run that has its bundle.

    Raises:
        DataError: it is no run, or has no bundle yet.
    """
    if not (folder / "log.jsonl").is_file():
        raise DataError(f"{str(folder)!r} is no run: it has no log.jsonl; give a folder of --out")
    if not (folder / "bundle").is_dir():
        raise DataError(
            f"the run in {str(folder)!r} has no bundle yet: finish it by maskzoo train … --resume"
        )
    plan = folder / "plan.json"
    decisions = json.loads(plan.read_text(encoding="utf-8")) if plan.is_file() else []
    config = folder / "config.yaml"
    return Run(
        folder=folder,
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
        plan=[Decision(**decision) for decision in decisions],
        log=read_log(folder / "log.jsonl"),
        manifest=read_manifest(folder / "bundle"),
    )
