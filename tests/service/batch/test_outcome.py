"""The record of an outcome, packed for its way from a worker."""

from __future__ import annotations

import pytest

from maskzoo.service.batch.outcome import BatchOutcome


@pytest.mark.parametrize(
    "outcome",
    [
        BatchOutcome("a.png", "masks/a.png", error="a.png: no such file"),
        BatchOutcome(
            "d\udcfcsseldorf.png", "m", "o", 3, 2, {"sea": 1.0}, {"network": 0.5}, ("one", "two")
        ),
        BatchOutcome("a.png", "masks/a.png", is_kept=True, reason=None),
    ],
    ids=["failed", "a name that is not UTF-8", "kept"],
)
def test_an_outcome_comes_back_as_it_was_packed(outcome: BatchOutcome) -> None:
    packed = outcome.pack()
    assert packed.isascii()
    assert "\n" not in packed
    assert BatchOutcome.unpack(packed) == outcome
