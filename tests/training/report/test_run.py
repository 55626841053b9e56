"""A run's folder is read back as it was written; a folder that is not a run is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.planning.decisions import Decision
from maskzoo.training.report.run import TrainRecord, ValidationRecord, read_run

BUNDLE = Path(__file__).resolve().parents[2] / "data" / "bundle_v1"
STEP = {"lr": [0.1, 0.01], "images_per_s": 2.5, "wait_fraction": 0.25}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run of two steps, of which the second gave no number."""
    rows = [
        {"kind": "train", "step": 1, "loss": 0.5, "parts": {"ce": 0.5}, **STEP},
        {"kind": "val", "step": 1, "mean_iou": 0.25, "per_class": []},
        {"kind": "train", "step": 2, "loss": None, "parts": None, **STEP},
        {"kind": "val", "step": 2, "mean_iou": None, "per_class": []},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "bundle").symlink_to(BUNDLE)
    return tmp_path


def test_the_log_becomes_records_of_steps_and_validations(folder: Path) -> None:
    run = read_run(folder)
    assert run.train == [
        TrainRecord(step=1, loss=0.5, rates=(0.1, 0.01), images_per_s=2.5, wait_fraction=0.25),
        TrainRecord(step=2, loss=None, rates=(0.1, 0.01), images_per_s=2.5, wait_fraction=0.25),
    ]
    assert run.validations == [ValidationRecord(1, 0.25), ValidationRecord(2, None)]
    assert run.manifest.labels.num_classes > 0


def test_plan_and_configuration_are_read_where_they_are(folder: Path) -> None:
    assert (read_run(folder).plan, read_run(folder).config) == ([], "")
    (folder / "config.yaml").write_text("seed: 3\n")
    decision = {"key": "batch_size", "value": 4, "why": "memory"}
    (folder / "plan.json").write_text(json.dumps([decision]))
    run = read_run(folder)
    assert run.config == "seed: 3\n"
    assert run.plan == [Decision("batch_size", 4, "memory")]


def test_a_folder_that_is_not_a_finished_run_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a run: it has no log\.jsonl; give the folder"):
        read_run(tmp_path)
    (tmp_path / "log.jsonl").touch()
    with pytest.raises(DataError, match="has no bundle yet: finish it with maskzoo train"):
        read_run(tmp_path)
