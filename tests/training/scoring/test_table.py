"""The scores as a table for a terminal, in percent."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo import PredictOptions
from maskzoo.training.scoring.bootstrap import Interval
from maskzoo.training.scoring.boundary import BoundaryCounts
from maskzoo.training.scoring.calibration import Calibration
from maskzoo.training.scoring.metrics import ConfusionMatrix, Scores
from maskzoo.training.scoring.records import Evaluation
from maskzoo.training.scoring.table import evaluation_table, scores_table


def scores() -> Scores:
    matrix = ConfusionMatrix(3, ignore_index=255)
    matrix.counts[:] = [[50, 10, 0], [5, 25, 0], [0, 0, 0]]
    return matrix.scores(["a", "b", "absent"])


def cells(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_rows_are_classes_then_the_mean_of_those_that_occur() -> None:
    text = scores_table(scores(), boundary=[0.5, 0.25, None], title="two of three")
    assert text.startswith("two of three ")
    assert cells(text) == [
        ["a", "76.92", "50.00", "86.96", "90.91", "83.33", "60"],
        ["b", "62.50", "25.00", "76.92", "71.43", "83.33", "30"],
        ["absent", "-", "-", "-", "-", "-", "0"],
        ["mean of 2 classes", "69.71", "37.50", "81.94", "", "83.33", "90"],
        ["pixel accuracy", "83.33", "", "", "", "", ""],
    ]


@pytest.mark.parametrize("foreground", [None, 1])
def test_what_follows_the_table_is_the_foreground_the_interval_and_the_calibration(
    foreground: int | None,
) -> None:
    calibration = Calibration(2, ignore_index=255)
    ids = np.zeros((1, 4), np.uint8)
    calibration.update(ids, ids, np.full((1, 4), 0.75))
    matrix = ConfusionMatrix(2, ignore_index=255)
    matrix.counts[:] = [[6, 1], [2, 3]]
    evaluation = Evaluation(
        bundle="discs",
        data="d",
        fingerprint="f",
        split="val",
        options=PredictOptions(),
        images=3,
        scores=matrix.scores(["ground", "disc"]),
        boundary=BoundaryCounts(2, ignore_index=255),
        calibration=calibration,
        interval=Interval(0.25, 0.5, 0.95, 1000, 0, 3),
        matrix=matrix.counts,
        foreground=foreground,
    )
    text = evaluation_table(evaluation)
    assert text.startswith("discs on d, split val, 3 images")
    after = text[text.index("└") :].splitlines()[1:]
    assert after == [
        *(["foreground (disc): IoU 50.00, Dice 66.67"] if foreground else []),
        "mean IoU 95% interval 25.00 to 50.00 (bootstrap over 3 images)",
        "expected calibration error 25.00 %",
    ]
