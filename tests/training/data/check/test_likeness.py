from __future__ import annotations

import numpy as np
import pytest

from maskzoo.training.data.check import likeness
from maskzoo.training.data.check.likeness import most_alike


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def each_with_each(table: np.ndarray, queries: np.ndarray, least: float):
    """The second formula: every correlation, in double precision."""
    correlations = queries.astype(np.float64) @ table.T.astype(np.float64)
    best = correlations.argmax(axis=1)
    return [
        int(row) if correlations[place, row] >= least else None for place, row in enumerate(best)
    ]


def scenes(random: np.random.Generator, count: int, axes: int) -> np.ndarray:
    """Vectors in which a few directions hold most of the difference, as thumbnails of photos."""
    weights = 1 / (1 + np.arange(256)) ** (6 / axes)
    return unit(random.normal(size=(count, 256)) * weights)


@pytest.mark.parametrize("most_named", [0, 3, 500])
@pytest.mark.parametrize("axes", [2, 6, 40])
@pytest.mark.parametrize("shared", [0.0, 3.0])
def test_the_search_finds_what_comparing_each_with_each_finds(
    monkeypatch, most_named, axes, shared
):
    monkeypatch.setattr(likeness, "_MOST_NAMED", most_named)
    random = np.random.default_rng(axes)
    table, others = scenes(random, 400, axes), scenes(random, 300, axes)
    common = scenes(random, 1, axes)
    table, others = unit(table + shared * common), unit(others + shared * common)
    near = unit(table[::4] + random.normal(size=(100, 256)) * random.uniform(0, 0.04, (100, 1)))
    queries = np.concatenate([others, near])
    for least in (0.5, 0.9, 0.975):
        found = most_alike(table, queries, least)
        assert [row and row[0] for row in found] == each_with_each(table, queries, least)
        exact = queries.astype(np.float64) @ table.T.astype(np.float64)
        for place, row in enumerate(found):
            if row is not None:
                assert row[1] == pytest.approx(exact[place, row[0]], abs=1e-6)
    assert sum(row is not None for row in most_alike(table, queries, 0.9)) >= 50


def test_of_equal_rows_the_first_is_named_and_flat_ones_are_alike_to_none():
    random = np.random.default_rng(0)
    one = scenes(random, 1, 6)
    table = np.concatenate([np.zeros((1, 256), np.float32), one, one, -one])
    queries = np.concatenate([one, np.zeros((1, 256), np.float32)])
    first, flat = most_alike(table, queries, 0.9)
    assert first is not None
    assert first[0] == 1
    assert flat is None
