"""The log of a run as records of steps and validations, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskzoo.training.loggers.runlog import read_log


@dataclass(frozen=True)
class TrainRecord:
    """A logged step.

    Args:
        loss: None if it was not finite.
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
class RunRecords:
    """The records of a log, each kind by step."""

    train: tuple[TrainRecord, ...] = ()
    validations: tuple[ValidationRecord, ...] = ()


def read_records(path: Path) -> RunRecords:
    """Read a `log.jsonl`."""
    train, validations = [], []
    for row in read_log(path):
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
    return RunRecords(tuple(train), tuple(validations))
