"""The scores of an evaluation as a table for a terminal, in percent."""

from __future__ import annotations

from rich.table import Table

from maskzoo.models.bundles.records import BundleMetrics
from maskzoo.training.loggers.display import table_text
from maskzoo.training.scoring.metrics import Scores, percent
from maskzoo.training.scoring.records import Evaluation


def evaluation_table(evaluation: Evaluation) -> str:
    """Return an evaluation as text: scores, foreground, interval, and calibration error."""
    title = (
        f"{evaluation.bundle} on {evaluation.data}, split {evaluation.split}, "
        f"{evaluation.images} images; {evaluation.runs_on}"
    )
    text = scores_table(evaluation.metrics(), title=title)
    text += _absent(evaluation.scores, evaluation.split)
    if evaluation.foreground is not None:
        row = evaluation.metrics().per_class[evaluation.foreground]
        text += (
            f"foreground ({row.name}): IoU {percent(row.iou)}, Dice {percent(row.dice)}; "
            f"by image IoU {percent(row.image_iou)}, Dice {percent(row.image_dice)}\n"
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


def _absent(scores: Scores, split: str) -> str:
    """Return a line that names the classes in no mask of the split, or nothing."""
    if not scores.absent_classes:
        return ""
    predicted = [row.name for row in scores.per_class if not row.pixels and row.iou is not None]
    wrongly = f"; predicted there, so 0 in the mean of all: {', '.join(predicted)}"
    return f"in no mask of {split}: {', '.join(scores.absent_classes)}{wrongly * bool(predicted)}\n"


def scores_table(metrics: BundleMetrics, *, title: str) -> str:
    """Return the scores of each class and of all, as text.

    The means are over the classes in the truth, and over all in truth or prediction.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for heading in ("IoU", "Dice", "precision", "recall", "boundary\nIoU", "image\nIoU"):
        table.add_column(heading, justify="right")
    table.add_column("image\nDice", justify="right")
    table.add_column("pixels", justify="right", no_wrap=True)
    for row in metrics.per_class:
        pooled = (row.iou, row.dice, row.precision, row.recall, row.boundary_iou)
        values = [percent(value) for value in (*pooled, row.image_iou, row.image_dice)]
        table.add_row(row.name, *values, f"{row.pixels:,}")
    table.add_section()
    table.add_row(
        f"mean of {metrics.classes_counted} (truth)",
        percent(metrics.mean_iou),
        percent(metrics.mean_dice),
        "",  # the literature has no mean precision
        percent(metrics.mean_recall),
        percent(metrics.mean_boundary_iou),
        percent(metrics.mean_image_iou),
        percent(metrics.mean_image_dice),
        f"{metrics.pixels_counted:,}",
    )
    table.add_row(
        f"mean of {metrics.classes_counted_all} (all)",
        percent(metrics.mean_iou_all),
        percent(metrics.mean_dice_all),
    )
    table.add_row("pixel accuracy", percent(metrics.pixel_accuracy))
    return table_text(table)
