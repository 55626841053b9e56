"""The plan as a table: value, reason, and the key that changes it."""

from __future__ import annotations

from maskzoo.training.planning.run_plan import Decision
from maskzoo.training.planning.table import plan_table


def test_a_decision_is_a_line_with_its_value_its_reason_and_its_key() -> None:
    text = plan_table([Decision("batch_size", 8, "usual"), Decision("loss.terms", (), "why not")])
    line = next(line for line in text.splitlines() if "batch_size" in line)
    assert [" ".join(cell.split()) for cell in line.split("│")[1:-1]] == [
        "batch_size = 8",
        "usual",
        "batch_size=…",
    ]
    assert "terms = " in text
    assert "loss.terms=…" in text
