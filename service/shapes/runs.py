"""Label runs: a label map as runs of equal class ids, from which all formats are written.

A run is `(start, length, label)`; the runs of one scan cover the map without gaps. Areas, boxes and
sums by label are added up block by block, so they take the same little memory for any map. A scan
of the whole map takes memory for each run, of which noise has as many as pixels: its runs are
counted first, and more than a limit are refused.

Shapes: label_map (H, W); starts, lengths, values (R,), R the number of runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from maskzoo.service.errors import TooManyRunsError

MAX_RUNS = 2**22
"""Runs of a map that are written as run lengths; a clean mask of 50 megapixels has a tenth."""

_BLOCK = 2**17  # pixels whose runs are held at a time


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


@dataclass(frozen=True)
class _Facts:
    """Area and box of each label, by its number (L,); the box is empty where the area is 0."""

    areas: np.ndarray
    left: np.ndarray
    top: np.ndarray
    right: np.ndarray
    bottom: np.ndarray

    @classmethod
    def of_none(cls, num_labels: int, *, width: int, height: int) -> _Facts:
        """Return the facts before any pixel was seen."""
        areas = np.zeros(num_labels, np.int64)
        return cls(areas, areas + width, areas + height, areas - 1, areas - 1)

    def add(self, start: int, scan: Scan, width: int) -> None:
        """Add a block that begins at the pixel `start`."""
        order = np.argsort(scan.values, kind="stable")
        values, starts = scan.values[order], scan.starts[order] + start
        ends = starts + scan.lengths[order] - 1
        first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))  # of each label
        labels = values[first]
        top, bottom = starts // width, ends // width
        is_within_line = top == bottom  # a run across a line's end touches both borders
        left = np.where(is_within_line, starts % width, 0)
        right = np.where(is_within_line, ends % width, width - 1)
        self.areas[labels] += np.add.reduceat(scan.lengths[order], first)
        for known, found in ((self.left, left), (self.top, top)):
            known[labels] = np.minimum(known[labels], np.minimum.reduceat(found, first))
        for known, found in ((self.right, right), (self.bottom, bottom)):
            known[labels] = np.maximum(known[labels], np.maximum.reduceat(found, first))


class LabelRuns:
    """The runs of one label map, by rows and by columns, each computed at its first use.

    Args:
        label_map: class ids, an integer (H, W) array that must not change afterwards.
        max_runs: of a scan of the whole map.
    """

    def __init__(self, label_map: np.ndarray, *, max_runs: int = MAX_RUNS) -> None:
        self.label_map = label_map
        self.max_runs = max_runs
        self.height, self.width = label_map.shape

    @cached_property
    def rows(self) -> Scan:
        """The map read row by row: CVAT, Label Studio, Hugging Face.

        Raises:
            TooManyRunsError: it has more than `max_runs`.
        """
        self.check_rows()
        return Scan.of(self._flat)

    @cached_property
    def columns(self) -> Scan:
        """The map read column by column: COCO.

        Raises:
            TooManyRunsError: it has more than `max_runs`.
        """
        flat = np.ascontiguousarray(self.label_map.T).reshape(-1)
        self._check(_count_runs(flat))
        return Scan.of(flat)

    def check_rows(self) -> None:
        """Refuse a map of too many runs by rows, before memory is taken for them.

        Raises:
            TooManyRunsError: it has more than `max_runs`.
        """
        self._check(_count_runs(self._flat))

    @cached_property
    def areas(self) -> dict[int, int]:
        """Number of pixels of each label that occurs, in the order of the labels."""
        areas = self._facts.areas
        return {int(label): int(areas[label]) for label in np.flatnonzero(areas)}

    def box(self, label: int) -> tuple[int, int, int, int] | None:
        """Return x, y, width, height around one label; None if it does not occur."""
        if label not in self.areas:
            return None
        facts = self._facts
        left, top = int(facts.left[label]), int(facts.top[label])
        return left, top, int(facts.right[label]) - left + 1, int(facts.bottom[label]) - top + 1

    def sums(self, values: np.ndarray) -> dict[int, float]:
        """Return the sum of `values` (H, W) over the pixels of each label that occurs."""
        flat = values.reshape(-1)  # a view: a copy of a huge map is too large
        sums = np.zeros(len(self._facts.areas))
        for start, scan in self._blocks():
            block = flat[start : start + scan.total]
            of_runs = np.add.reduceat(block, scan.starts, dtype=np.float32)
            found = np.bincount(scan.values, weights=of_runs)
            sums[: len(found)] += found
        return {label: float(sums[label]) for label in self.areas}

    @cached_property
    def _flat(self) -> np.ndarray:
        return np.ascontiguousarray(self.label_map).reshape(-1)

    @cached_property
    def _facts(self) -> _Facts:
        num_labels = int(self.label_map.max(initial=0)) + 1
        facts = _Facts.of_none(num_labels, width=self.width, height=self.height)
        for start, scan in self._blocks():
            facts.add(start, scan, self.width)
        return facts

    def _blocks(self) -> Iterator[tuple[int, Scan]]:
        """Yield the first pixel of each block, and its runs by rows."""
        for start in range(0, self._flat.size, _BLOCK):
            yield start, Scan.of(self._flat[start : start + _BLOCK])

    def _check(self, num_runs: int) -> None:
        if num_runs > self.max_runs:
            raise TooManyRunsError(num_runs, self.max_runs)


def _count_runs(flat: np.ndarray) -> int:
    """Return how many runs `Scan.of` would find, block by block."""
    return min(1, flat.size) + sum(
        int(np.count_nonzero(flat[start + 1 : start + 1 + _BLOCK] != flat[start:-1][:_BLOCK]))
        for start in range(0, flat.size - 1, _BLOCK)
    )
