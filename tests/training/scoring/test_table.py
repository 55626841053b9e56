"""The scores as a table for a terminal, in percent."""

from __future__ import annotations

from maskzoo.training.scoring.metrics import ConfusionMatrix, Scores
from maskzoo.training.scoring.table import scores_table


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
