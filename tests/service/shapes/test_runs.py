"""Runs against plain counting of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from maskzoo.service.shapes.runs import LabelRuns, Scan

VECTOR = np.array([[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]], np.uint8)

label_maps = npst.arrays(
    st.sampled_from([np.uint8, np.uint16]),
    npst.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.integers(0, 3),
)


def test_runs_of_the_vector_by_columns_and_by_rows():
    runs = LabelRuns(VECTOR)
    assert runs.columns.counts_of_label(1).tolist() == [4, 1, 1, 3, 2, 1]
    assert runs.rows.counts_of_label(1).tolist() == [2, 1, 2, 2, 3, 2]
    assert runs.areas == {0: 7, 1: 5}
    assert runs.box(1) == (1, 0, 3, 3)


@settings(max_examples=40, deadline=None)
@given(label_maps)
def test_runs_put_together_again_are_the_map(labels):
    scan = LabelRuns(labels).rows
    assert np.array_equal(np.repeat(scan.values, scan.lengths), labels.ravel())
    assert (np.diff(scan.values.astype(int)) != 0).all()


@settings(max_examples=40, deadline=None)
@given(label_maps, st.integers(0, 4))
def test_counts_of_a_label_rebuild_its_mask(labels, label):
    counts = LabelRuns(labels).columns.counts_of_label(label)
    mask = np.repeat(np.arange(counts.size) % 2 == 1, counts)
    assert np.array_equal(mask.reshape(labels.shape, order="F"), labels == label)


@settings(max_examples=40, deadline=None)
@given(label_maps, st.integers(0, 4))
def test_areas_and_boxes_agree_with_the_pixels(labels, label):
    runs = LabelRuns(labels)
    rows, columns = np.nonzero(labels == label)
    assert runs.areas.get(label, 0) == rows.size
    expected = None
    if rows.size:
        left, top = columns.min(), rows.min()
        expected = (left, top, columns.max() - left + 1, rows.max() - top + 1)
    assert runs.box(label) == expected


@pytest.mark.parametrize("label", [-1, 2, 300])
def test_a_label_that_does_not_occur_has_no_runs(label):
    runs = LabelRuns(VECTOR)
    assert runs.box(label) is None
    assert runs.rows.counts_of_label(label).tolist() == [12]


def test_a_scan_of_nothing_has_no_runs():
    assert Scan.of(np.zeros(0, np.uint8)).lengths.size == 0
