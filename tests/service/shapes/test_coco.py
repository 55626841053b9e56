"""COCO's strings against pycocotools, and its documents through pycocotools' own reader."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as reference
from pycocotools.coco import COCO

from maskzoo.models.labels import LabelSet
from maskzoo.service.shapes.coco import compress_counts, encode_document, encode_rle
from maskzoo.service.shapes.runs import LabelRuns

VECTOR = np.array([[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]], np.uint8)


def test_the_vector_has_the_known_string():
    assert encode_rle(LabelRuns(VECTOR), 1) == {"size": [3, 4], "counts": "41121N"}


@settings(max_examples=40, deadline=None)
@given(
    npst.arrays(
        np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 2)
    )
)
def test_strings_equal_those_of_pycocotools(labels):
    runs = LabelRuns(labels)
    for label in range(3):
        expected = reference.encode(np.asfortranarray(labels == label))
        assert encode_rle(runs, label)["counts"] == expected["counts"].decode()


@pytest.mark.parametrize("size", [(1, 1), (300, 257), (2000, 3)])
def test_long_runs_take_several_characters(size):
    labels = np.zeros(size, np.uint8)
    labels[size[0] // 2, size[1] // 2] = 1
    expected = reference.encode(np.asfortranarray(labels))
    assert encode_rle(LabelRuns(labels), 1)["counts"] == expected["counts"].decode()


def test_counts_are_not_changed_by_writing_them():
    counts = np.array([4, 1, 1, 3, 2, 1])
    compress_counts(counts)
    assert counts.tolist() == [4, 1, 1, 3, 2, 1]


def test_pycocotools_reads_our_document_back_into_the_masks():
    labels = LabelSet.from_names(["ground", "cell", "never"])
    document = encode_document(LabelRuns(VECTOR), labels, file_name="a.png")
    coco = COCO()
    coco.dataset = document
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    (cell,) = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(catNms=["cell"])))
    assert np.array_equal(coco.annToMask(cell), VECTOR)
    assert cell["area"] == 5
    assert cell["bbox"] == [1, 0, 3, 3]
    assert [item["name"] for item in coco.loadCats(coco.getCatIds())] == list(labels.names)
