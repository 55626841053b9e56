"""Reading a run's folder for its report: configuration, plan, log, bundle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.models.bundles.manifest import Manifest, read_manifest
from maskzoo.models.errors import DataError
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.planning.decisions import Decision

EVALUATION = "evaluation.json"
"""The scores of a run in full: confusion matrix, calibration, times."""


@dataclass(frozen=True)
class TrainRecord:
    """A logged step.

    Args:
        loss: None where it was not a number.
        rates: the learning rate of each parameter group.
        wait_fraction: the part of the time that training waited for data, 0..1.
    """

    step: int
    loss: float | None
    rates: tuple[float, ...]
    images_per_s: float
    wait_fraction: float


@dataclass(frozen=True)
class ValidationRecord:
    """A logged validation."""

    step: int
    mean_iou: float | None


@dataclass(frozen=True)
class Run:
    """A run's folder.

    Args:
        config: the text of `config.yaml`.
        plan: the decisions of `plan.json`.
        train, validations: the records of `log.jsonl`.
        manifest: of the bundle.
    """

    folder: Path
    config: str
    plan: list[Decision]
    train: list[TrainRecord]
    validations: list[ValidationRecord]
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
    train, validations = _records(read_log(log))
    return Run(
        folder=folder,
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
        plan=[Decision(**decision) for decision in decisions],
        train=train,
        validations=validations,
        manifest=read_manifest(folder / "bundle"),
    )


def _records(
    log: Iterable[Mapping[str, Any]],
) -> tuple[list[TrainRecord], list[ValidationRecord]]:
    train, validations = [], []
    for row in log:
        if row["kind"] == "train":
            train.append(
                TrainRecord(
                    step=row["step"],
                    loss=row["loss"],
                    rates=tuple(row["lr"]),
                    images_per_s=row["images_per_s"],
                    wait_fraction=row["wait_fraction"],
                )
            )
        elif row["kind"] == "val":
            validations.append(ValidationRecord(row["step"], row["mean_iou"]))
    return train, validations
