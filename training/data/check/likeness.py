"""Search for the most alike of many thumbnails, without comparing each with each.

Two vectors of length 1 whose correlation is c lie `sqrt(2 - 2 c)` apart, and along a few axes no
farther. So a tree over the axes in which the vectors differ most (their principal components) names
the few that can be as alike as asked, and these alone are compared in full. Where images are so
alike that the tree names many, they are compared block by block, which is still fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_AXES = 12  # of 256, in which photographs differ most
_MOST_FITTED = 2000  # vectors from which the axes are found
_MOST_NAMED = 500  # by the tree for one vector, beyond which a block is faster
_BLOCK = 256  # vectors that are compared with all others at once
_SLACK = 1e-4  # of a distance or of a correlation, for rounding


def most_alike(table: Vectors, queries: Vectors, least: float) -> list[tuple[int, float] | None]:
    """Return for each query the row of the table with the highest correlation, and that.

    It is None where no row has a correlation of at least `least`. Of equal rows the first is named.

    Args:
        table: vectors of length 1 or 0, one a row, shape (n, d); n is at least 1.
        queries: vectors of length 1 or 0, shape (m, d).
        least: a correlation above 0.
    """
    from scipy.spatial import cKDTree  # 0.3 s to import

    found: list[tuple[int, float] | None] = [None] * len(queries)
    axes = _principal_axes(table)
    tree = cKDTree(table @ axes)
    radius = float(np.sqrt(max(0.0, 2 - 2 * least))) + _SLACK
    placed = queries @ axes
    counts = tree.query_ball_point(placed, radius, return_length=True)
    few = np.flatnonzero((counts > 0) & (counts <= _MOST_NAMED))
    for place, named in zip(few, tree.query_ball_point(placed[few], radius), strict=True):
        found[place] = _best(table, sorted(named), queries[place], least)
    for number, rows in _in_blocks(table, queries, np.flatnonzero(counts > _MOST_NAMED)):
        found[number] = _best(table, rows, queries[number], least)
    return found


def _principal_axes(table: Vectors) -> Vectors:
    """Return orthogonal axes as columns, shape (d, at most `_AXES`)."""
    some = table[:: max(1, len(table) // _MOST_FITTED)].astype(np.float64)
    _, axes = np.linalg.eigh(some.T @ some)  # the largest eigenvalues come last
    return np.ascontiguousarray(axes[:, -_AXES:], np.float32)


def _in_blocks(
    table: Vectors, queries: Vectors, places: npt.NDArray[np.integer]
) -> Iterator[tuple[int, list[int]]]:
    """Yield queries with the rows whose correlation is the highest, but for rounding."""
    for start in range(0, len(places), _BLOCK):
        block = places[start : start + _BLOCK]
        correlations = queries[block] @ table.T  # (block, n)
        near = correlations >= correlations.max(axis=1, keepdims=True) - _SLACK
        for place, row in zip(block, near, strict=True):
            yield int(place), [int(index) for index in np.flatnonzero(row)]


def _best(
    table: Vectors, named: Sequence[int], query: Vectors, least: float
) -> tuple[int, float] | None:
    """Return the row of those named with the highest correlation, if that is enough."""
    correlations = (table[named].astype(np.float64) * query).sum(axis=1)
    best = int(correlations.argmax())
    return (named[best], float(correlations[best])) if correlations[best] >= least else None
