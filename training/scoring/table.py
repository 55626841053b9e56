"""The scores of an evaluation as a table for a terminal, in percent."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from maskzoo.training.loggers.display import table_text
from maskzoo.training.scoring.metrics import Scores, mean_of_known, percent
from maskzoo.training.scoring.records import Evaluation


def evaluation_table(evaluation: Evaluation) -> str:
    """Return an evaluation as text: scores, foreground, interval, and calibration error."""
    title = (
        f"{evaluation.bundle} on {evaluation.data}, split {evaluation.split}, "
        f"{evaluation.images} images"
    )
    text = scores_table(evaluation.scores, boundary=evaluation.boundary.ious(), title=title)
    foreground = evaluation.foreground_scores
    if foreground is not None:
        text += (
            f"foreground ({foreground.name}): IoU {percent(foreground.iou)}, "
            f"Dice {percent(foreground.dice)}\n"
        )
    interval, error = evaluation.interval, evaluation.calibration.error()
    if interval is not None:
        text += (
            f"mean IoU {interval.level:.0%} interval {percent(interval.low)} to "
            f"{percent(interval.high)} (bootstrap over {interval.images} images)\n"
        )
    if error is not None:
        text += f"expected calibration error {percent(error)} %\n"
    return text


def scores_table(scores: Scores, *, boundary: Sequence[float | None], title: str) -> str:
    """Return the scores of each class and of all, as text.

    Args:
        boundary: the boundary IoU of each class.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for heading in ("IoU", "boundary IoU", "Dice", "precision", "recall", "pixels"):
        table.add_column(heading, justify="right")
    for row, boundary_iou in zip(scores.per_class, boundary, strict=True):
        values = (row.iou, boundary_iou, row.dice, row.precision, row.recall)
        table.add_row(row.name, *(percent(value) for value in values), f"{row.pixels:,}")
    table.add_section()
    table.add_row(
        f"mean of {scores.classes_counted} classes",
        percent(scores.mean_iou),
        percent(mean_of_known(boundary)),
        percent(scores.mean_dice),
        "",  # the literature has no mean precision
        percent(scores.mean_recall),
        f"{scores.pixels_counted:,}",
    )
    table.add_row("pixel accuracy", percent(scores.pixel_accuracy))
    return table_text(table)
