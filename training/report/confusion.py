"""The confusion matrix, as the report shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MOST_CONFUSIONS = 10
_WIDEST_MATRIX = 30  # classes; with more, the matrix is drawn without numbers


@dataclass(frozen=True)
class MatrixRow:
    """One class of the truth.

    Args:
        pixels: that have this class.
        fractions: of these pixels, by predicted class; they add up to 1, or are all 0 without
            pixels.
    """

    name: str
    pixels: int
    fractions: tuple[float, ...]


@dataclass(frozen=True)
class MatrixView:
    """A confusion matrix, its rows normalised.

    Args:
        has_numbers: whether there is room to write the fractions into the cells.
    """

    names: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    has_numbers: bool


@dataclass(frozen=True)
class Confusion:
    """Pixels of one class that were predicted as another.

    Args:
        truth, prediction: names of the two classes.
        of_class: the pixels as a fraction of all pixels of the class in the truth.
        of_errors: the pixels as a fraction of all wrong pixels.
    """

    truth: str
    prediction: str
    pixels: int
    of_class: float
    of_errors: float


def view_matrix(counts: np.ndarray, names: Sequence[str]) -> MatrixView:
    """Normalise each row of an int64 (K, K) matrix, the truth in rows."""
    totals = counts.sum(axis=1, keepdims=True)
    fractions = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    rows = tuple(
        MatrixRow(name, int(total), tuple(row.tolist()))
        for name, total, row in zip(names, totals[:, 0], fractions, strict=True)
    )
    return MatrixView(tuple(names), rows, len(rows) <= _WIDEST_MATRIX)


def most_frequent_confusions(counts: np.ndarray, names: Sequence[str]) -> list[Confusion]:
    """Return the pairs of classes with the most wrong pixels, the worst first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    total = max(1, int(wrong.sum()))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    confusions = []
    for index in order:
        truth, prediction = (int(place) for place in np.unravel_index(index, wrong.shape))
        pixels = int(wrong[truth, prediction])
        if pixels:
            of_class = pixels / int(counts[truth].sum())
            confusions.append(
                Confusion(names[truth], names[prediction], pixels, of_class, pixels / total)
            )
    return confusions
