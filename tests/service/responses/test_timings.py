"""Timings: seconds by stage, and when each stage ran."""

from __future__ import annotations

import time

import pytest

from maskzoo.service.responses.timings import StageSpan, Timings


class Clock:
    """Both clocks of the module, moved by hand."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def time_ns(self) -> int:
        """Return nanoseconds since 1970."""
        return self.ns

    def perf_counter(self) -> float:
        """Return seconds."""
        return self.ns / 1e9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clocks, for this test."""
    clock = Clock()
    for name in ("time_ns", "perf_counter"):
        monkeypatch.setattr(time, name, getattr(clock, name))
    return clock


def test_a_stage_begins_when_it_is_measured_or_where_the_last_one_ended(clock: Clock) -> None:
    timings = Timings()
    with timings.measure("decode"):
        clock.ns += 2_000_000_000
    clock.ns += 1_000_000_000  # nobody measures this second
    with timings.measure("encode"):
        clock.ns += 500_000_000
    timings.add("queue", 0.25)
    assert timings.spans == [
        StageSpan("decode", 5_000_000_000, 2.0),
        StageSpan("encode", 8_000_000_000, 0.5),
        StageSpan("queue", 8_500_000_000, 0.25),
    ]


def test_a_stage_that_runs_twice_is_one_number_and_two_spans(clock: Clock) -> None:
    timings = Timings()
    for seconds in (0.001, 0.002):
        timings.add("decode", seconds)
    timings.add("network", 0.5)
    assert timings.seconds == pytest.approx({"decode": 0.003, "network": 0.5})
    assert timings.header() == "decode;dur=3.0, network;dur=500.0"
    assert [span.stage for span in timings.spans] == ["decode", "decode", "network"]


def test_a_stage_that_fails_is_measured_too(clock: Clock) -> None:
    timings = Timings()

    def fail() -> None:
        with timings.measure("decode"):
            clock.ns += 1_000_000_000
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert timings.seconds == {"decode": 1.0}
