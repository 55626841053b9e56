"""The generated tables match the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "tools" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLES = load()
SLOW = {"costs", "costs of plug-ins"}  # builds every network at full width

ALL = [
    pytest.param(page, name, id=name, marks=pytest.mark.slow if name in SLOW else ())
    for page, tables in TABLES.TABLES.items()
    for name in tables
]


@pytest.mark.parametrize(("page", "name"), ALL)
def test_a_generated_table_is_up_to_date(page: str, name: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    made = TABLES.TABLES[page][name]()
    assert TABLES.between_marks(name).findall(text) == [made], "run make readme"
