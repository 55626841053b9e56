"""Label runs: a label map as runs of equal class ids, from which all formats are written.

A run is `(start, length, label)`; the runs of one scan cover the map without gaps. Areas and boxes
are computed from the runs too, so pixels are read once for each direction.

Shapes: label_map (H, W); starts, lengths, values (R,), R the number of runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Scan:
    """The runs of a map, read line by line.

    A run may continue into the next line.

    Args:
        starts: index of each run's first pixel in reading order, int64 (R,).
        lengths: number of pixels of each run, int64 (R,).
        values: label of each run (R,).
        total: number of pixels of the map.
    """

    starts: np.ndarray
    lengths: np.ndarray
    values: np.ndarray
    total: int

    @classmethod
    def of(cls, flat: np.ndarray) -> Scan:
        """Split a flat label map (L,) into its runs."""
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        starts = np.concatenate([[0], changes]) if flat.size else changes
        lengths = np.diff(starts, append=flat.size)
        return cls(starts, lengths, flat[starts], flat.size)

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """Runs grouped by label, in reading order within a group, and the groups' bounds."""
        order = np.argsort(self.values, kind="stable")
        highest = int(self.values.max(initial=0))
        bounds = np.searchsorted(self.values[order], np.arange(highest + 2))
        return order, bounds

    def of_label(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Return starts and lengths of the runs of one label."""
        order, bounds = self._order
        if not 0 <= label < len(bounds) - 1:
            return self.starts[:0], self.lengths[:0]
        chosen = order[bounds[label] : bounds[label + 1]]
        return self.starts[chosen], self.lengths[chosen]

    def counts_of_label(self, label: int) -> np.ndarray:
        """Return alternating run lengths of not-label, label, not-label …; the first may be 0.

        An empty last run of not-label is left out.
        """
        starts, lengths = self.of_label(label)
        if not starts.size:
            return np.array([self.total])
        ends = starts + lengths
        counts = np.empty(2 * starts.size + 1, np.int64)
        counts[0] = starts[0]
        counts[1::2] = lengths
        counts[2:-1:2] = starts[1:] - ends[:-1]
        counts[-1] = self.total - ends[-1]
        return counts if counts[-1] else counts[:-1]


class LabelRuns:
    """The runs of one label map, by rows and by columns, each computed at its first use.

    Args:
        label_map: class ids, an integer (H, W) array that must not change afterwards.
    """

    def __init__(self, label_map: np.ndarray) -> None:
        self.label_map = label_map
        self.height, self.width = label_map.shape

    @cached_property
    def rows(self) -> Scan:
        """The map read row by row: CVAT, Label Studio, areas, boxes."""
        return Scan.of(np.ascontiguousarray(self.label_map).reshape(-1))

    @cached_property
    def columns(self) -> Scan:
        """The map read column by column: COCO."""
        return Scan.of(np.ascontiguousarray(self.label_map.T).reshape(-1))

    @cached_property
    def areas(self) -> dict[int, int]:
        """Number of pixels of each label that occurs, in the order of the labels."""
        sums = np.bincount(self.rows.values, weights=self.rows.lengths)
        return {int(label): int(sums[label]) for label in np.flatnonzero(sums)}

    def box(self, label: int) -> tuple[int, int, int, int] | None:
        """Return x, y, width, height around one label; None if it does not occur."""
        starts, lengths = self.rows.of_label(label)
        if not starts.size:
            return None
        ends = starts + lengths - 1
        top, bottom = starts[0] // self.width, ends[-1] // self.width
        left, right = (starts % self.width).min(), (ends % self.width).max()
        if (starts // self.width != ends // self.width).any():
            left, right = 0, self.width - 1  # a run across a line's end touches both borders
        return int(left), int(top), int(right - left + 1), int(bottom - top + 1)
