"""Signals as a flag, for as long as the context lasts."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from maskzoo.training.run.interrupt import StopRequest, TrainingInterrupted, interrupting


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sets_the_flag_and_the_handler_before_comes_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_at_once_and_a_second_sigterm_does_not() -> None:
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before, handlers = signal.getsignal(signal.SIGTERM), []

    def enter() -> None:
        with StopRequest():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [before]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_the_last_step_a_signal_raises_the_command_to_go_on(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(TrainingInterrupted, match="train data --resume"):  # noqa: SIM117
        with interrupting("train data --resume"):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
