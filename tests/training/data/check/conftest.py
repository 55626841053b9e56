"""A good data set, and the problems of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maskzoo.training.data.check.checks import find_problems
from maskzoo.training.data.collect import collect_findings
from maskzoo.training.data.records.problems import DataProblem


@pytest.fixture
def good(ids):
    """Twelve good masks of two classes in three splits."""
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    return {f"{split}/{number}": ids(0, 1) for number, split in enumerate(splits)}


@pytest.fixture
def problems() -> Callable[[Path], dict[str, DataProblem]]:
    """Return the problems of a folder by their kinds: problems(root)."""

    def find(root: Path) -> dict[str, DataProblem]:
        findings = collect_findings(root, deep=True)
        return {problem.kind: problem for problem in find_problems(findings)}

    return find
