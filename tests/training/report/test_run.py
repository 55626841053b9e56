"""A run's folder is read back as it was written; a folder that is not a run is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import DataError
from maskzoo.training.planning.decision import Decision
from maskzoo.training.report.log import RunRecords, ValidationRecord
from maskzoo.training.report.run import read_run

BUNDLE = Path(__file__).resolve().parents[2] / "data" / "bundle_v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run with one validation."""
    (tmp_path / "log.jsonl").write_text('{"kind": "val", "step": 1, "mean_iou": 0.25}\n')
    (tmp_path / "bundle").symlink_to(BUNDLE)
    return tmp_path


def test_log_and_bundle_are_read(folder: Path) -> None:
    run = read_run(folder)
    assert run.folder == folder
    assert run.log == RunRecords((), (ValidationRecord(1, 0.25),))
    assert run.manifest == read_manifest(BUNDLE)


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
