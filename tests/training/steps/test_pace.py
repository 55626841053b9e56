"""Pace: images a second and waiting for data, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from maskzoo.training.steps import pace


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    turned = Clock()
    monkeypatch.setattr(pace, "time", turned)
    return turned


def test_waiting_and_images_are_shares_of_the_time_without_pauses(clock: Clock) -> None:
    def batches() -> Iterator[int]:
        for number in range(3):
            clock.now += 1  # the wait for each batch
            yield number

    counted = pace.Pace()
    seen = []
    for batch in counted.waiting(batches()):
        seen.append(batch)
        clock.now += 3
        counted.count(8)
        with counted.pause():
            clock.now += 1000
    assert seen == [0, 1, 2]
    assert counted.wait_fraction == pytest.approx(3 / 12)
    assert counted.images_per_s == pytest.approx(24 / 12)
