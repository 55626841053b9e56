"""log.jsonl: appended, cut back at a resume, read after a power cut."""

from __future__ import annotations

from pathlib import Path

from maskzoo.training.loggers.runlog import RunLog, read_log


def test_records_come_back_in_order(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", step=0)
    log.write("train", 1, loss=0.5)
    log.write("val", 1, mean_iou=None)
    assert read_log(log.path) == [
        {"kind": "train", "step": 1, "loss": 0.5},
        {"kind": "val", "step": 1, "mean_iou": None},
    ]


def test_a_resumed_run_writes_again_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = RunLog(path, step=0)
    for step in (1, 2, 3):
        log.write("train", step)
    RunLog(path, step=2).write("train", 3, again=True)
    assert [row["step"] for row in read_log(path)] == [1, 2, 3]
    assert read_log(path)[2]["again"]
    RunLog(path, step=0)
    assert read_log(path) == []


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    RunLog(path, step=0).write("train", 1)
    with path.open("a") as file:
        file.write('{"kind": "train", "st')
    assert [row["step"] for row in read_log(path)] == [1]
    RunLog(path, step=1).write("train", 2)
    assert [row["step"] for row in read_log(path)] == [1, 2]


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert read_log(tmp_path / "log.jsonl") == []
