"""What a process on jobs died of, and the clock of its leases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from maskzoo.service.jobs import life
from maskzoo.service.jobs.life import Traces, read_clocks

LIVE = """
    import faulthandler, os, pathlib, sys
    from maskzoo.service.jobs.life import Traces

    traces = Traces(pathlib.Path(sys.argv[1]), "dead", on_fault=faulthandler.enable)
    traces.begin()
    exec(sys.argv[2])
"""


def died_by_fault(folder, last_words: str) -> bool:
    (folder / "traces" / "dead").unlink(missing_ok=True)
    code = textwrap.dedent(LIVE)
    subprocess.run([sys.executable, "-c", code, str(folder), last_words], capture_output=True)
    return Traces(folder, "other", on_fault=None).tell_fault("dead")


@pytest.mark.skipif(life._count_kills() is None, reason="the kernel does not count such kills")
def test_a_kill_from_outside_is_told_from_a_fault_and_an_end(tmp_path, caplog):
    assert not died_by_fault(tmp_path, f"os.kill(os.getpid(), {int(signal.SIGKILL)})")
    assert caplog.text == ""
    assert died_by_fault(tmp_path, "faulthandler._sigsegv()")
    assert "event=process_died worker=dead trace=Fatal Python error: Segmentation" in caplog.text
    assert died_by_fault(tmp_path, "os.abort()")
    assert died_by_fault(tmp_path, "traces.end()"), "nobody knows"


def test_a_process_that_was_killed_for_want_of_memory_counts(tmp_path, monkeypatch):
    counts = tmp_path / "vmstat"
    monkeypatch.setattr(life, "_KERNEL_COUNTS", counts)
    counts.write_text("nr_free_pages 12\noom_kill 4\n")
    traces = Traces(tmp_path, "mine", on_fault=lambda file: None)
    traces.begin()
    assert not traces.tell_fault("mine")
    counts.write_text("nr_free_pages 12\noom_kill 5\n")
    assert traces.tell_fault("mine")
    counts.unlink()
    assert traces.tell_fault("mine"), "nobody knows"


def test_a_trace_that_is_begun_again_keeps_what_it_began_with(tmp_path, monkeypatch):
    """The count of kills is that of the start, however many jobs were claimed since."""
    counts = tmp_path / "vmstat"
    monkeypatch.setattr(life, "_KERNEL_COUNTS", counts)
    counts.write_text("oom_kill 4\n")
    opened = []
    traces = Traces(tmp_path, "mine", on_fault=opened.append)
    traces.begin()
    counts.write_text("oom_kill 5\n")
    traces.begin()
    assert len(opened) == 1
    assert traces.tell_fault("mine")
    (tmp_path / "traces" / "mine").unlink()  # the folder was away
    traces.begin()
    assert len(opened) == 2
    assert not traces.tell_fault("mine")


def test_old_traces_go_unless_a_job_waits_for_them(tmp_path):
    for name in ("old", "held", "mine", "new"):
        Traces(tmp_path, name, on_fault=lambda file: None).begin()
    for name in ("old", "held", "mine"):
        os.utime(tmp_path / "traces" / name, (0, 0))
    traces = Traces(tmp_path, "mine", on_fault=None)
    traces.forget({"held"})
    assert {path.name for path in (tmp_path / "traces").iterdir()} == {"held", "mine", "new"}
    traces.end()
    assert not (tmp_path / "traces" / "mine").exists()


def test_a_folder_that_cannot_be_written_to_keeps_no_trace(tmp_path):
    (tmp_path / "traces").write_text("in the way")
    traces = Traces(tmp_path, "mine", on_fault=lambda file: None)
    traces.begin()
    assert traces.tell_fault("mine")


def test_the_clock_of_leases_never_goes_back(monkeypatch):
    before = read_clocks()
    monkeypatch.setattr("time.time", lambda: -1e9)
    after = read_clocks()
    assert after.time == -1e9
    assert after.uptime >= before.uptime
    assert after.boot == before.boot


@pytest.mark.skipif(not life._BOOT_ID.exists(), reason="the system gives its starts no name")
def test_a_start_of_the_machine_has_its_name_in_every_moment():
    assert read_clocks().boot == life._BOOT_ID.read_text().strip() != ""


def test_a_trace_is_kept_for_a_day(tmp_path):
    traces = Traces(tmp_path, "mine", on_fault=None)
    (tmp_path / "traces").mkdir()
    for name, hours in (("young", 23), ("old", 25)):
        (tmp_path / "traces" / name).write_text("")
        os.utime(tmp_path / "traces" / name, (time.time() - 3600 * hours,) * 2)
    traces.forget(())
    assert [path.name for path in (tmp_path / "traces").iterdir()] == ["young"]
