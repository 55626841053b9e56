"""A run's log becomes records of steps and validations."""

from __future__ import annotations

import json
from pathlib import Path

from maskzoo.training.report.log import (
    RunRecords,
    TrainRecord,
    ValidationRecord,
    read_records,
)

STEP = {"lr": [0.1, 0.01], "images_per_s": 2.5, "wait_fraction": 0.25}


def test_steps_and_validations_are_told_apart_and_no_number_is_none(tmp_path: Path) -> None:
    rows = [
        {"kind": "train", "step": 1, "loss": 0.5, "parts": {"ce": 0.5}, **STEP},
        {"kind": "val", "step": 1, "mean_iou": 0.25, "per_class": []},
        {"kind": "train", "step": 2, "loss": None, "parts": None, **STEP},
        {"kind": "val", "step": 2, "mean_iou": None, "per_class": []},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_records(path) == RunRecords(
        train=(
            TrainRecord(1, 0.5, (0.1, 0.01), images_per_s=2.5, wait_fraction=0.25),
            TrainRecord(2, None, (0.1, 0.01), images_per_s=2.5, wait_fraction=0.25),
        ),
        validations=(ValidationRecord(1, 0.25), ValidationRecord(2, None)),
    )


def test_an_empty_log_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").touch()
    assert read_records(tmp_path / "log.jsonl") == RunRecords()
