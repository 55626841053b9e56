"""The scores of the classes as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from maskzoo.training.loggers.display import table_text
from maskzoo.training.scoring.metrics import Scores, mean_of_known, percent


def scores_table(
    scores: Scores, *, title: str, boundary: Sequence[float | None] | None = None
) -> str:
    """Return the scores of each class and of all, as text.

    Args:
        boundary: the boundary IoU of each class, where it was measured.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    headings = ["IoU", "boundary IoU", "Dice", "precision", "recall", "pixels"]
    for heading in headings if boundary else [word for word in headings if word[0] != "b"]:
        table.add_column(heading, justify="right")
    for index, row in enumerate(scores.per_class):
        values = [row.iou, row.dice, row.precision, row.recall]
        if boundary:
            values.insert(1, boundary[index])
        table.add_row(row.name, *(percent(value) for value in values), f"{row.pixels:,}")
    table.add_section()
    means = [scores.mean_iou, scores.mean_dice, None, scores.mean_recall]
    if boundary:
        means.insert(1, mean_of_known(boundary))
    table.add_row(
        f"mean of {scores.classes_counted} classes",
        *("" if value is None else percent(value) for value in means),
        f"{scores.pixels_counted:,}",
    )
    table.add_row("pixel accuracy", percent(scores.pixel_accuracy))
    return table_text(table)
