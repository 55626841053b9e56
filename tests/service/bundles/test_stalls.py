"""A step that hangs is named, with the stacks of all threads, even where no Python code can run."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from maskzoo.service.bundles import stalls
from maskzoo.service.bundles.stalls import StallWatch

HANGS = """
import ctypes, sys, threading
from pathlib import Path

from starlette.testclient import TestClient

from maskzoo.service.app import create_app
from maskzoo.service.observability.logs import configure
from maskzoo.service.settings import Settings


def waits_by_plan():
    threading.Event().wait()


def keeps_the_interpreter_by_plan():
    ctypes.PyDLL(None).pause()  # without letting go of its lock, as OpenVINO once did


def load(path):
    if path.name == "streets":
        globals()[sys.argv[3]]()


configure("info", "text")
folder, state = Path(sys.argv[1]), Path(sys.argv[2])
app = create_app(
    Settings(bundles=(folder,), shipped_bundles=False, state_folder=state, stall_s=2),
    load_model=load,
)
with TestClient(app):
    threading.Event().wait()
"""


@pytest.mark.parametrize(
    "hang",
    [pytest.param("waits_by_plan", marks=pytest.mark.slow), "keeps_the_interpreter_by_plan"],
)
def test_a_server_that_hangs_at_its_start_says_in_which_bundle_and_where(bundles, tmp_path, hang):
    command = [sys.executable, "-c", HANGS, str(bundles), str(tmp_path), hang]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        awaited = {f"in {hang}"} | ({"event=stalled"} if hang == "waits_by_plan" else set())
        said = ""
        while not all(words in said for words in awaited) and (line := process.stderr.readline()):
            said += line
        process.kill()
    assert "Timeout (0:00:0" in said
    assert f"event=begun step=load of={bundles / 'streets'}\n" in said
    if hang == "waits_by_plan":
        assert f"event=stalled step=load of={bundles / 'streets'} after_s=2" in said
        assert f"event=stalled step=load of={bundles / 'cells'}" not in said


def test_steps_that_end_in_time_leave_no_timer_and_no_word(monkeypatch, caplog):
    timers: list[float | None] = []
    monkeypatch.setattr(
        "faulthandler.dump_traceback_later", lambda seconds, file: timers.append(seconds)
    )
    monkeypatch.setattr("faulthandler.cancel_dump_traceback_later", lambda: timers.append(None))
    watch = StallWatch(1000)
    before = set(threading.enumerate())
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(OSError, match="no disk"),
        watch.over("load", "a"),
        watch.over("load", "b"),
    ):
        raise OSError("no disk")
    assert [seconds is None for seconds in timers] == [False, False, False, True]
    assert all(900 < seconds <= 1000 for seconds in timers if seconds is not None)
    assert "stalled" not in caplog.text
    begun = set(threading.enumerate()) - before
    for thread in begun:
        thread.join(120)
    assert not any(thread.is_alive() for thread in begun), "they were cancelled"


def test_the_stacks_are_written_for_the_step_that_is_due_first_of_those_that_are_not_overdue(
    monkeypatch,
):
    clock, timers = SimpleNamespace(now=0.0), []
    monkeypatch.setattr(stalls, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(
        "faulthandler.dump_traceback_later", lambda seconds, file: timers.append(seconds)
    )
    monkeypatch.setattr("faulthandler.cancel_dump_traceback_later", lambda: timers.append(None))
    watch = StallWatch(1000)
    with watch.over("load", "a"):
        clock.now = 400
        with watch.over("load", "b"):
            assert timers == [1000, 600], "a is due first"
            clock.now = 1200
            with watch.over("load", "c"):
                assert timers[2:] == [200], "a has been said; b is next"
            assert timers[3:] == [200]
        assert timers[4:] == [None], "nothing more is due"


def test_a_load_is_watched_by_the_name_of_its_folder_and_gives_its_model(tmp_path, caplog):
    watch, watched = StallWatch(1000), []
    load = watch.watched(lambda path: watched.append(list(watch._due.values())) or path.name)
    with caplog.at_level(logging.INFO):
        assert load(tmp_path / "cells") == "cells"
    assert len(watched[0]) == 1
    assert watch._due == {}
    assert f"event=begun step=load of={tmp_path / 'cells'}" in caplog.text
