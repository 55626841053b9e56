"""`benchmarks/gpu.py` on the CPU: every part runs, and a part that fails loses no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "gpu.py"
PARTS = ("network", "compiled", "service", "step", "predictor", "memory", "zoo")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.slow
def test_every_part_measures_and_fills_its_table(tmp_path: Path) -> None:
    before = (ROOT / "docs" / "gpu.md").read_text()
    done = run("--device", "cpu", "--quick", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    wrong = [row for row in rows if "failed" in row or row.get("error", "") != ""]
    assert [row for row in wrong if row.get("error") != "is not installed"] == []
    page = (tmp_path / "gpu.md").read_text()
    for part in PARTS:
        assert any(row.get("part") == part and "seconds" in row for row in rows), part
        table = page.split(f"<!-- {part} -->")[1].split(f"<!-- end {part} -->")[0]
        assert table.count("\n| ") >= 2, part  # a head and a row
    assert (ROOT / "docs" / "gpu.md").read_text() == before  # a quick run says nothing of a GPU


def test_a_part_that_fails_or_has_no_time_left_keeps_the_others_tables(tmp_path: Path) -> None:
    rows = [
        {"machine": "a GPU; torch 2.11"},
        {"part": "memory", "network": "danet", "ms": 21.0, "peak_mib": 600.0},
        {"part": "memory", "network": "psanet", "error": "OutOfMemoryError: full"},
        {"part": "memory", "failed": "killed after 25 s"},
        {"part": "compiled", "failed": "no time was left for it"},
    ]
    code = (
        "import sys, json, pathlib; sys.path.insert(0, 'benchmarks'); import gpu; "
        "gpu.write_page(json.loads(sys.stdin.read()), pathlib.Path(sys.argv[1]))"
    )
    page = tmp_path / "gpu.md"
    page.write_text("# On a GPU\n<!-- zoo -->\nNot measured yet.\n<!-- end zoo -->\n")
    subprocess.run(
        [sys.executable, "-c", code, str(page)],
        cwd=ROOT,
        input=json.dumps(rows),
        text=True,
        check=True,
    )
    text = page.read_text()
    assert "| danet | 21.00 | 600 |  |" in text
    assert "| psanet | – | – | OutOfMemoryError: full |" in text  # noqa: RUF001
    assert "It failed: killed after 25 s." in text
    assert "It failed: no time was left for it." in text
    assert "<!-- zoo -->\nNot measured yet.\n<!-- end zoo -->" in text


def test_the_page_has_a_place_for_every_part() -> None:
    page = (ROOT / "docs" / "gpu.md").read_text()
    assert [part for part in PARTS if f"<!-- {part} -->" in page] == list(PARTS)
