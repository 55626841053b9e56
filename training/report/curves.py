"""Loss, validation score and learning rate by step, drawn from a run's log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maskzoo.training.report.charts import Line, line_chart, smooth
from maskzoo.training.report.log import RunRecords, TrainRecord, ValidationRecord

_SMOOTHING = 0.95  # of the loss that is drawn bold
_MOST_DOTS = 60  # validations; of more, the points of the curve are not marked


@dataclass(frozen=True)
class Curve:
    """A chart with its title and a line of text; `svg` is empty without points."""

    title: str
    note: str
    svg: str


def draw_curves(log: RunRecords) -> list[Curve]:
    """Return the curves that the records have points for, over one common range of steps."""
    train, validations = log.train, log.validations
    steps = [record.step for record in train] + [record.step for record in validations]
    whole = (0, max([1, *steps]))
    curves = [_loss(train, whole), _score(validations, whole), _rate(train, whole)]
    return [curve for curve in curves if curve.svg]


def _loss(train: Sequence[TrainRecord], whole: tuple[int, int]) -> Curve:
    points = [(record.step, record.loss) for record in train if record.loss is not None]
    smoothed = smooth(points, _SMOOTHING)
    return Curve(
        title="Loss",
        note=f"{smoothed[-1][1]:.4f} at the end, smoothed" if smoothed else "",
        svg=line_chart(
            [Line("loss of a step", points, is_faint=True), Line("smoothed", smoothed)],
            label="training loss by step",
            x_range=whole,
            from_zero=True,
        ),
    )


def _score(validations: Sequence[ValidationRecord], whole: tuple[int, int]) -> Curve:
    points = [
        (record.step, record.mean_iou) for record in validations if record.mean_iou is not None
    ]
    best = max(points, key=lambda point: point[1], default=None)
    return Curve(
        title="Validation mean IoU",
        note=f"best {best[1]:.4f} at step {best[0]}" if best else "",
        svg=line_chart(
            [Line("mean IoU", points, has_dots=len(points) <= _MOST_DOTS)],
            label="validation mean IoU by step",
            x_range=whole,
        ),
    )


def _rate(train: Sequence[TrainRecord], whole: tuple[int, int]) -> Curve:
    points = [(record.step, max(record.rates)) for record in train if record.rates]
    return Curve(
        title="Learning rate",
        note=f"peak {max(rate for _, rate in points):.3g}" if points else "",
        svg=line_chart(
            [Line("highest learning rate of a group", points)],
            label="learning rate by step",
            x_range=whole,
            from_zero=True,
        ),
    )
