"""Runs against plain counting of pixels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from maskzoo.service.errors import TooManyRunsError
from maskzoo.service.shapes import runs as runs_module
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


@settings(max_examples=60, deadline=None)
@given(label_maps, st.integers(1, 9))
def test_blocks_of_any_size_give_the_areas_boxes_and_sums_of_the_whole_map(labels, block):
    values = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_module, "_BLOCK", block)
        runs = LabelRuns(labels)
        areas, sums = runs.areas, runs.sums(values)
        boxes = {label: runs.box(label) for label in areas}
    assert areas == {int(label): int((labels == label).sum()) for label in np.unique(labels)}
    assert sums == {label: float(values[labels == label].sum()) for label in areas}
    for label, box in boxes.items():
        rows, columns = np.nonzero(labels == label)
        left, top = columns.min(), rows.min()
        assert box == (left, top, columns.max() - left + 1, rows.max() - top + 1)


@settings(max_examples=60, deadline=None)
@given(label_maps, st.integers(1, 9), st.sampled_from(["rows", "columns"]))
def test_as_many_runs_as_are_allowed_are_found_and_one_more_is_refused(labels, block, way):
    flat = labels.ravel(order="C" if way == "rows" else "F")
    count = 1 + sum(one != other for one, other in zip(flat[1:], flat[:-1], strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_module, "_BLOCK", block)
        assert len(getattr(LabelRuns(labels, max_runs=count), way).starts) == count
        with pytest.raises(TooManyRunsError, match=f"{count} runs .* at most {count - 1} are"):
            getattr(LabelRuns(labels, max_runs=count - 1), way)


def test_facts_and_a_refusal_of_noise_take_little_memory():
    """A scan of these 4 million pixels would take 100 MB and more."""
    noise = np.random.default_rng(0).integers(0, 9, (1000, 4000), np.uint8)
    runs = LabelRuns(noise, max_runs=1000)
    confidence = np.ones(noise.shape, np.float16)

    tracemalloc.start()
    assert runs.box(1) == (0, 0, 4000, 1000)
    assert sum(runs.sums(confidence).values()) == noise.size
    for way in ("rows", "columns"):
        with pytest.raises(TooManyRunsError):
            getattr(runs, way)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6
