"""What a checkpoint says beside its tensors, in the layouts of 0.x and 1.x."""

from __future__ import annotations

import pytest

from maskzoo.models.imports.mmseg.envelope import Envelope, read_envelope

COLOURS = [[0, 0, 0], [1, 2, 3]]


@pytest.mark.parametrize(
    "meta",
    [
        {"config": "text", "CLASSES": ("a", "b"), "PALETTE": COLOURS},
        {"cfg": "text", "dataset_meta": {"classes": ["a", "b"], "palette": COLOURS}},
    ],
)
def test_both_layouts_say_the_same(meta):
    assert read_envelope({"meta": meta}) == Envelope("text", ("a", "b"), ((0, 0, 0), (1, 2, 3)))


@pytest.mark.parametrize("meta", [{}, {"meta": 3}, {"meta": {"config": 4, "CLASSES": "ab"}}])
def test_what_is_not_of_the_expected_type_counts_as_absent(meta):
    assert read_envelope(meta) == Envelope()


def test_a_palette_of_another_length_or_with_wrong_colours_counts_as_absent():
    for palette in ([[0, 0, 0]], [[0, 0, 0], [0, 0, 256]], [[0, 0, 0], "abc"], None):
        read = read_envelope({"meta": {"CLASSES": ("a", "b"), "PALETTE": palette}})
        assert read.palette == ()
        assert read.classes == ("a", "b")


def test_a_name_that_occurs_twice_gets_a_number():
    assert read_envelope({"meta": {"CLASSES": ("a", "b", "a", "a")}}).classes == (
        "a",
        "b",
        "a 2",
        "a 3",
    )
