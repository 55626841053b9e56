"""The list of failures: complete once the run is through, and only then replaced."""

from __future__ import annotations

import json
from pathlib import Path

from maskzoo.service.batch.failures import list_failures
from maskzoo.service.batch.outcome import BatchOutcome

WELL = BatchOutcome("a.png", "masks/a.png")
BAD = BatchOutcome("b.png", "masks/b.png", error="b.png: no such file")


def test_failures_are_listed_with_their_reasons_and_all_outcomes_pass(tmp_path: Path) -> None:
    assert list(list_failures(str(tmp_path), [WELL, BAD, WELL])) == [WELL, BAD, WELL]
    lines = (tmp_path / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"image": "b.png", "error": "b.png: no such file"}
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["failures.jsonl"]


def test_a_run_without_failures_removes_the_list_of_the_run_before(tmp_path: Path) -> None:
    list(list_failures(str(tmp_path), [BAD]))
    list(list_failures(str(tmp_path), [WELL]))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_ends_early_leaves_the_list_before_it(tmp_path: Path) -> None:
    list(list_failures(str(tmp_path), [BAD]))
    started = list_failures(str(tmp_path), [WELL, WELL])
    next(started)
    started.close()
    assert (tmp_path / "failures.jsonl").read_text().count("\n") == 1
