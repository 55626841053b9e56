"""Combinations that are drawn, and the time of the rounds."""

from __future__ import annotations

import pytest

from maskzoo.training.race.space import Space, fractions, rounds


@pytest.mark.parametrize(("count", "sizes"), [(9, [9, 3, 1]), (2, [2, 1]), (10, [10, 3, 1])])
def test_a_third_goes_on(count: int, sizes: list[int]) -> None:
    assert rounds(count) == sizes


def test_each_round_takes_three_times_as_long_as_the_one_before() -> None:
    assert fractions(3) == pytest.approx([1 / 9, 1 / 3, 1])


def test_candidates_differ_and_each_architecture_comes_first_once() -> None:
    space = Space(("a", "b", "c"), ("x", "y"), ("", "p"))
    drawn = space.draw(7, seed=3)
    assert {one.architecture for one in drawn[:3]} == {"a", "b", "c"}
    assert len({str(one) for one in drawn}) == 7
    assert len(space.draw(100, seed=3)) == 12
    assert space.draw(7, seed=3) == drawn
    assert space.draw(7, seed=4) != drawn


def test_what_is_not_given_is_the_usual_for_this_machine() -> None:
    space = Space.of(["unet"], [], ["cbam@encoder.4"])
    assert (space.architectures, space.plugins) == (("unet",), ("cbam@encoder.4",))
    assert {"tu-tf_efficientnet_lite0", "tu-mobilenetv2_100"} < set(space.encoders)
    assert "" in Space.of([], [], []).plugins, "a candidate may have no plug-in"
