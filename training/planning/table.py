"""The plan of a run as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from maskzoo.training.loggers.display import table_text
from maskzoo.training.planning.decision import Decision


def plan_table(decisions: Sequence[Decision]) -> str:
    """Return the decisions of a plan with reasons and keys, as text."""
    table = Table(title="plan", title_justify="left")
    for heading in ("value", "why", "to change it"):
        table.add_column(heading)
    for decision in decisions:
        name = decision.key.rpartition(".")[2]
        table.add_row(f"{name} = {decision.shown}", decision.why, f"{decision.key}=…")
    return table_text(table)
