"""Which candidates a race has time for, and how long a fair race of all takes.

A candidate learns from a stated number of steps in the first round on; with fewer, all that a score
shows is chance. As steps cost more in one network than in another, time for all decides who races:
the largest number of the fastest candidates of which even the slowest has enough steps. Validations
are paid from the time of the whole race, so a candidate whose validations are slow has as much time
to train as the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from maskzoo.models.errors import ZooError
from maskzoo.training.race.space import fractions, rounds

TRAINING_FRACTION = 0.85
"""Of the time without validations; the rest is for reading, building and saving."""


@dataclass(frozen=True)
class Pace:
    """Measured seconds of a candidate.

    Args:
        number: of the candidate.
        step: of a training step.
        validation: of a validation.
    """

    number: int
    step: float
    validation: float


@dataclass(frozen=True)
class RacePlan:
    """Who races, and for how long.

    Args:
        steps: of a whole run, by the number of each candidate that races.
        left_out: candidates for which there is no time.
        fair_seconds: that a race of all candidates takes.
    """

    steps: dict[int, int]
    left_out: tuple[Pace, ...]
    fair_seconds: float


def plan_race(paces: Sequence[Pace], *, seconds: float, least_steps: int) -> RacePlan:
    """Return the plan of a race.

    Args:
        paces: of all candidates.
        seconds: that are left for the race.
        least_steps: of each candidate in the first round.

    Raises:
        ZooError: there is no time for two candidates; says how long two and all of them take.
    """
    fair = seconds_needed(paces, least_steps=least_steps)
    by_speed = sorted(paces, key=lambda pace: (pace.step, pace.number))
    for count in range(len(by_speed), 1, -1):
        chosen = by_speed[:count]
        if seconds_needed(chosen, least_steps=least_steps) <= seconds:
            time = (seconds - _validations(chosen)) * TRAINING_FRACTION / _runs(count)
            steps = {pace.number: max(1, int(time / pace.step + 1e-9)) for pace in chosen}
            return RacePlan(steps, tuple(by_speed[count:]), fair)
    two = seconds_needed(by_speed[:2], least_steps=least_steps)
    raise ZooError(
        f"no time for a race: with {least_steps} steps in the first round, two candidates take "
        f"{minutes_of(two)} minutes ({_validations(by_speed[:2]) / 60:.1f} of them for "
        f"validations), all {len(paces)} take {minutes_of(fair)}, and {seconds / 60:.1f} are left; "
        "give more --minutes, or train one network"
    )


def seconds_needed(paces: Sequence[Pace], *, least_steps: int) -> float:
    """Return how long a race takes in which the slowest has `least_steps` in the first round."""
    first = least_steps * max(pace.step for pace in paces)
    whole = first / fractions(len(rounds(len(paces))))[0]
    return whole * _runs(len(paces)) / TRAINING_FRACTION + _validations(paces)


def minutes_of(seconds: float) -> int:
    """Return whole minutes that are enough."""
    return math.ceil(seconds / 60)


def _runs(count: int) -> float:
    """Return the training of a race of `count` candidates, in whole runs."""
    sizes = rounds(count)
    after = fractions(len(sizes))
    before = [0.0, *after]
    # each round costs its candidates the part of a run that is new to them
    return sum(size * (end - start) for size, start, end in zip(sizes, before, after, strict=False))


def _validations(paces: Sequence[Pace]) -> float:
    """Return the seconds of all validations at most: the slowest may be the ones that go on."""
    slowest = sorted((pace.validation for pace in paces), reverse=True)
    return sum(sum(slowest[:size]) for size in rounds(len(paces)))
