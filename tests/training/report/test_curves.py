"""Curves of a run: notes by hand, and none without points."""

from __future__ import annotations

import re

import pytest

from maskzoo.training.report.curves import draw_curves
from maskzoo.training.report.log import RunRecords, TrainRecord, ValidationRecord


def step(number: int, loss: float | None, *rates: float) -> TrainRecord:
    return TrainRecord(number, loss, rates, images_per_s=1.0, wait_fraction=0.0)


def test_notes_name_the_smoothed_loss_the_best_score_and_the_highest_rate() -> None:
    train = (step(0, 4.0, 0.1, 0.2), step(1, 2.0, 0.3, 0.05))
    scores = (ValidationRecord(1, 0.5), ValidationRecord(2, 0.75), ValidationRecord(3, 0.7))
    notes = {curve.title: curve.note for curve in draw_curves(RunRecords(train, scores))}
    smoothed = (0.95 * 0.05 * 4 + 0.05 * 2) / (1 - 0.95**2)
    assert notes == {
        "Loss": f"{smoothed:.4f} at the end, smoothed",
        "Validation mean IoU": "best 0.7500 at step 2",
        "Learning rate": "peak 0.3",
    }


def test_all_curves_have_the_steps_of_the_whole_run() -> None:
    curves = draw_curves(
        RunRecords((step(0, 4.0, 0.1), step(1, 2.0, 0.1)), (ValidationRecord(20, 0.5),))
    )
    ticks = [re.findall(r'text-anchor="middle">([^<]+)<', curve.svg) for curve in curves]
    assert ticks == [["0", "5", "10", "15", "20"]] * 3


def test_a_curve_without_points_is_left_out() -> None:
    assert draw_curves(RunRecords()) == []
    no_numbers = draw_curves(RunRecords((step(0, None),), (ValidationRecord(1, None),)))
    assert no_numbers == []
    assert [curve.title for curve in draw_curves(RunRecords((step(0, None, 0.1),)))] == [
        "Learning rate"
    ]


@pytest.mark.parametrize(("validations", "dots"), [(60, 60), (61, 0)])
def test_points_of_few_validations_are_marked(validations: int, dots: int) -> None:
    scores = tuple(ValidationRecord(number, 0.5) for number in range(validations))
    (curve,) = draw_curves(RunRecords(validations=scores))
    assert curve.svg.count("<circle") == dots
