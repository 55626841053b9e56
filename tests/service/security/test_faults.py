"""The table of faults in README.md names tests that exist, and leaves no fault out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TABLE = (Path(__file__).parent / "README.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file, name):
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_fault_has_a_row_with_a_test():
    rows = re.findall(r"^\| F(\d+)b? .*\| (.*::.*) \|$", TABLE, re.MULTILINE)
    assert {int(number) for number, _ in rows} == set(range(1, 22))
    assert len(rows) == 23, "F2b and F13b too"
