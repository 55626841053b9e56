"""The scores as a table for a terminal, in percent."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo import PredictOptions
from maskzoo.training.scoring.bootstrap import Interval
from maskzoo.training.scoring.boundary import BoundaryCounts
from maskzoo.training.scoring.calibration import Calibration
from maskzoo.training.scoring.metrics import ConfusionMatrix, ImageMeans
from maskzoo.training.scoring.records import Evaluation, RunsOn
from maskzoo.training.scoring.table import evaluation_table


def cells(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_rows_are_classes_then_both_means() -> None:
    """Of three classes, b occurs in the masks of one image, and c is only predicted."""
    each = [
        np.array([[50, 10, 0, 4], [5, 25, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
        np.array([[6, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
    ]
    text = evaluation_table(evaluation(each, ["a", "b", "absent", "false"]))
    assert cells(text) == [
        ["a", "74.67", "85.50", "91.80", "80.00", "50.00", "86.23", "92.02", "70"],
        ["b", "62.50", "76.92", "71.43", "83.33", "25.00", "62.50", "76.92", "30"],
        ["absent", "-", "-", "-", "-", "-", "-", "-", "0"],
        ["false", "0.00", "0.00", "0.00", "-", "0.00", "0.00", "0.00", "0"],
        ["mean of 2 (truth)", "68.58", "81.21", "", "81.67", "37.50", "74.37", "84.47", "100"],
        ["mean of 3 (all)", "45.72", "54.14", "", "", "", "", "", ""],
        ["pixel accuracy", "81.00", "", "", "", "", "", "", ""],
    ]
    assert (
        "in no mask of val: absent, false; predicted there, so 0 in the mean of all: false" in text
    )


def evaluation(
    each: list[np.ndarray], names: list[str], foreground: int | None = None
) -> Evaluation:
    """Return the evaluation of images with these matrices; the boundary scores are made up."""
    matrix = ConfusionMatrix(len(names), ignore_index=255)
    matrix.counts += sum(each)
    boundary = BoundaryCounts(len(names), ignore_index=255)
    boundary.intersections[:2] = (2, 1)
    boundary.unions[:] = 4 * (matrix.counts.sum(0) > 0)
    calibration = Calibration(len(names), ignore_index=255)
    ids = np.zeros((1, 4), np.uint8)
    calibration.update(ids, ids, np.full((1, 4), 0.75))
    return Evaluation(
        bundle="discs",
        data="d",
        fingerprint="f",
        split="val",
        runs_on=RunsOn("torch", "float32", "cpu"),
        options=PredictOptions(),
        images=len(each),
        scores=matrix.scores(names),
        image_means=ImageMeans.of(each),
        boundary=boundary,
        calibration=calibration,
        interval=Interval(0.25, 0.5, 0.95, 1000, 0, 3),
        matrix=matrix.counts,
        foreground=foreground,
    )


@pytest.mark.parametrize("foreground", [None, 1])
def test_what_follows_the_table_is_the_foreground_the_interval_and_the_calibration(
    foreground: int | None,
) -> None:
    each = [np.array([[6, 1], [2, 3]]), np.array([[9, 0], [0, 0]])]
    text = evaluation_table(evaluation(each, ["ground", "disc"], foreground))
    assert text.startswith("discs on d, split val, 2 images; torch on cpu, in float32")
    after = text[text.index("└") :].splitlines()[1:]
    assert after == [
        *(
            ["foreground (disc): IoU 50.00, Dice 66.67; by image IoU 50.00, Dice 66.67"]
            if foreground
            else []
        ),
        "mean IoU 95% interval 25.00 to 50.00 (bootstrap over 3 images)",
        "expected calibration error 25.00 %",
    ]
