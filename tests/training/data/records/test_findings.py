from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskzoo.training.data.collect import collect_findings
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.facts import PairFacts
from maskzoo.training.data.records.findings import Findings


@pytest.fixture
def findings(make_folder: Callable[..., Path], ids: Callable[..., np.ndarray]) -> Findings:
    """Return the findings of masks of 24 x 32: class 0 above class 1, with a column of void."""
    mask = np.zeros((24, 32), np.uint8)
    mask[6:] = 1
    mask[:, -1] = 255
    return collect_findings(make_folder({f"train/{n}": mask for n in "ab"} | {"val/c": mask}))


def test_pixels_are_counted_by_class(findings: Findings) -> None:
    assert findings.class_counts(findings.facts[0]) == {0: 6 * 31, 1: 18 * 31, IGNORE: 24}


def test_the_halves_of_a_mask_add_up_to_it(findings: Findings) -> None:
    upper, lower = findings.half_counts(findings.facts[0])
    assert upper == {0: 6 * 31, 1: 6 * 31, IGNORE: 12}
    assert lower == {0: 0, 1: 12 * 31, IGNORE: 12}


def test_a_mask_that_cannot_be_read_counts_nothing(findings: Findings) -> None:
    facts = PairFacts(None, None)
    assert findings.class_counts(facts) == {}
    assert findings.half_counts(facts) == ({}, {})


def test_samples_are_left_out_together_with_their_facts_and_a_note(findings: Findings) -> None:
    kept = findings.without(frozenset({"a"}), "a is gone")
    assert [sample.stem for sample, _ in kept.rows] == ["b", "c"]
    assert kept.facts == findings.facts[1:]
    assert kept.notes == (*findings.notes, "a is gone")


def test_a_code_in_no_class_counts_only_where_each_takes_the_closest(findings: Findings) -> None:
    facts, known = findings.facts[0], findings.interpretation
    assert facts.mask is not None
    odd = replace(facts, mask=replace(facts.mask, counts={**facts.mask.counts, 3: 5}))
    assert findings.class_counts(odd) == findings.class_counts(facts)
    nearest = replace(known, encoding=replace(known.encoding, nearest=True))
    counted = replace(findings, interpretation=nearest).class_counts(odd)
    assert counted == {0: 6 * 31, 1: 18 * 31 + 5, IGNORE: 24}
