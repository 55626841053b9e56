"""What a run prints where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from maskzoo.training.loggers.display import Display, Status


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the time that the display sees."""
    now = [0.0]
    monkeypatch.setattr("maskzoo.training.loggers.display.time.monotonic", lambda: now[0])

    def set_time(seconds: float) -> None:
        now[0] = seconds

    return set_time


def status(step: int) -> Status:
    return Status(
        step=step,
        total_steps=100,
        epoch=step / 10,
        loss=0.123456,
        mean_iou=0.5,
        images_per_s=12.34,
        wait_fraction=0.25,
    )


def test_without_a_terminal_a_line_comes_every_15_seconds_and_at_the_end(
    clock: Callable[[float], None], display: Display, shown: Callable[[], str]
) -> None:
    display.start(status(0))
    for seconds in range(1, 41):
        clock(seconds)
        display.update(status(seconds))
    clock(50)
    display.update(status(100))
    display.stop()
    lines = [line for line in shown().splitlines() if line.startswith("step")]
    assert [line.split()[1] for line in lines] == ["15/100", "30/100", "100/100"]
    assert lines[0] == (
        "step 15/100  epoch 1.5  loss 0.1235  mean IoU 0.5000  12.3 images/s  "
        "waiting for data 25%  left 0:01:25"
    )


def test_the_time_left_counts_from_where_a_resumed_run_began(
    clock: Callable[[float], None], display: Display, shown: Callable[[], str]
) -> None:
    display.start(status(80))
    clock(20)
    display.update(status(90))
    assert "left 0:00:20" in shown()


def test_figures_that_are_not_known_yet_are_dashes() -> None:
    text = Status(step=0, total_steps=9, epoch=0).text()
    assert "loss -" in text
    assert "mean IoU -" in text


def test_other_ranks_are_silent(display: Display, shown: Callable[[], str]) -> None:
    display.enabled = False
    display.start(status(0))
    display.notify("hello")
    display.update(status(100))
    display.stop()
    assert shown() == ""


def test_square_brackets_are_text(display: Display, shown: Callable[[], str]) -> None:
    display.notify("model.options={channels: [8, 8]} [bold]")
    assert shown() == "model.options={channels: [8, 8]} [bold]\n"
