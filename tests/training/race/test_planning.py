"""Who races: as many as learn in the time, whatever their validations cost."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import ZooError
from maskzoo.training.race.planning import Pace, minutes_of, plan_race, seconds_needed


def paces(*steps: float, validation: float = 0.0) -> list[Pace]:
    return [Pace(number, step, validation) for number, step in enumerate(steps)]


def test_nine_equal_candidates_take_nine_first_legs_and_two_more_rounds() -> None:
    """100 steps of 1 s: 9 legs of 100 s, 3 of 200 s more, 1 of 600 s more; 15 % for the rest."""
    assert seconds_needed(paces(*[1.0] * 9), least_steps=100) == pytest.approx(2100 / 0.85)


def test_all_race_where_the_slowest_learns_and_get_the_same_time_to_train() -> None:
    plan = plan_race(paces(1, 2, 4), seconds=10_000, least_steps=100)
    assert plan.left_out == ()
    whole = 10_000 * 0.85 / (3 / 3 + 1 * 2 / 3)  # three legs of a third, and the rest of one run
    assert plan.steps == {number: int(whole / step) for number, step in enumerate((1, 2, 4))}
    assert plan.steps[2] / 3 >= 100


def test_the_slow_are_left_out_where_they_would_not_learn() -> None:
    """The least time for all, and one second less."""
    all_of_them = paces(1, 1, 1, 9)
    needed = seconds_needed(all_of_them, least_steps=10)
    assert plan_race(all_of_them, seconds=needed, least_steps=10).left_out == ()
    plan = plan_race(all_of_them, seconds=needed - 1, least_steps=10)
    assert [pace.number for pace in plan.left_out] == [3]
    assert sorted(plan.steps) == [0, 1, 2]
    assert plan.fair_seconds == needed
    assert min(plan.steps.values()) / 3 >= 10


def test_no_time_for_two_is_refused_with_the_minutes_that_are_needed() -> None:
    some = paces(1, 2, 3)
    two = minutes_of(seconds_needed(some[:2], least_steps=100))
    fair = minutes_of(seconds_needed(some, least_steps=100))
    with pytest.raises(ZooError, match=rf"take {two} minutes .*all 3 take {fair}, and 1.0"):
        plan_race(some, seconds=60, least_steps=100)


def test_validations_are_paid_by_the_race_and_not_by_the_candidate() -> None:
    slow = [Pace(0, 1.0, 50.0), Pace(1, 1.0, 0.0)]
    plan = plan_race(slow, seconds=1000, least_steps=10)
    assert plan.steps[0] == plan.steps[1]
    assert plan.steps[0] == int((1000 - 50 - 50) * 0.85 / (2 / 3 + 2 / 3))
