"""The options of a prediction: valid once they exist, and equal where they ask for the same."""

from __future__ import annotations

import pytest

from maskzoo import PredictOptions
from maskzoo.models.errors import SpecError, UnknownNameError


def test_an_unknown_mode_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown mode 'hole'; did you mean 'whole'"):
        PredictOptions(mode="hole")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tta": "sideways"}, "unknown view 'sideways'"),
        ({"overlap": 1.5}, "overlap is 1.5; it is a fraction of the tile from 0 to 0.75"),
        ({"overlap": float("nan")}, "overlap is nan; it is a fraction of the tile"),
        ({"max_side": 0}, "max_side is 0; it is a number of pixels, 1 or more"),
    ],
)
def test_an_option_out_of_its_range_is_refused_with_the_range(options, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        PredictOptions(**options)


def test_the_ends_of_the_ranges_are_allowed() -> None:
    options = PredictOptions(max_side=1, overlap=0.75)
    assert (options.max_side, options.overlap) == (1, 0.75)
    assert PredictOptions(overlap=0).overlap == 0


def test_two_mistakes_are_listed_together() -> None:
    with pytest.raises(SpecError, match="2 mistake"):
        PredictOptions(overlap=-1, max_side=-1)


def test_equal_options_are_one_key_of_a_table() -> None:
    table = {PredictOptions(tta="flip"): 1}
    assert table[PredictOptions(mode="auto", tta="flip", overlap=0.25)] == 1


def test_the_views_are_those_that_tta_names() -> None:
    assert PredictOptions().views.num_views == 1
    assert PredictOptions(tta="flip+multiscale").views.num_views == 6
