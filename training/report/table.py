"""Tables for a terminal: scores of the classes, and the plan of a run."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table

from training.metrics import Scores
from training.plan import Decision


def scores_table(scores: Scores, *, title: str) -> str:
    """Return the scores of each class and of all, as text."""
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for heading in ("IoU", "Dice", "precision", "recall", "pixels"):
        table.add_column(heading, justify="right")
    for row in scores.per_class:
        values = (row.iou, row.dice, row.precision, row.recall)
        table.add_row(row.name, *(_percent(value) for value in values), f"{row.pixels:,}")
    table.add_section()
    mean = f"mean of {scores.classes_counted} classes"
    table.add_row(
        mean,
        _percent(scores.mean_iou),
        _percent(scores.mean_dice),
        "",
        _percent(scores.mean_recall),
        f"{scores.pixels_counted:,}",
    )
    table.add_row("pixel accuracy", _percent(scores.pixel_accuracy), "", "", "", "")
    return _render(table)


def plan_table(decisions: list[Decision]) -> str:
    """Return what was decided, why, and how to change it, as text."""
    table = Table(title="plan", title_justify="left")
    for heading in ("value", "why", "to change it"):
        table.add_column(heading)
    for decision in decisions:
        name = decision.key.rpartition(".")[2]
        table.add_row(f"{name} = {decision.value}", decision.why, f"{decision.key}=…")
    return _render(table)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _render(table: Table) -> str:
    text = io.StringIO()
    Console(file=text, width=100).print(table)
    return text.getvalue()
