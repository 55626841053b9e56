"""The life of a process that works on jobs: the clock of its leases, and what it died of.

*Clock.* Leases are read on the clock that counts from the start of the machine, which all its
processes share, and never on the time of day: that may be set back or forward at any moment.

*Death.* A job that brings its process down does so each time, so it is given up after a few. But a
process may also be killed from outside, or lose its power, which says nothing of its job. Each
process keeps a file for this, its trace. A fault of memory or an abort is written there by
Python's `faulthandler`. That memory ran out is seen from the kernel's count of such kills. An
empty trace means that the process was killed from outside.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_KERNEL_COUNTS = Path("/proc/vmstat")
_KILLS = "oom_kill"
_FOLDER = "traces"
_OLD_S = 24 * 3600
_SHOWN = 4000  # characters of a trace in the log

OnFault = Callable[[int], object]
"""Has faults of the process written to an open file; `faulthandler.enable`."""


@dataclass(frozen=True)
class Moment:
    """A moment, as two clocks show it.

    Args:
        time: seconds since 1970; it may jump.
        uptime: seconds since the machine started, without those of its sleep.
        boot: which start that was; empty where the system gives none a name.
    """

    time: float
    uptime: float
    boot: str


def read_clocks() -> Moment:
    """Return the present moment."""
    return Moment(time.time(), time.monotonic(), _read(_BOOT_ID).strip())


class Traces:
    """The traces of the processes on one folder of jobs.

    Args:
        folder: of the jobs.
        name: of this process.
        on_fault: writes faults into the trace; None keeps no trace, and each death counts.
    """

    def __init__(self, folder: Path, name: str, *, on_fault: OnFault | None) -> None:
        self._folder = folder / _FOLDER
        self._name = name
        self._on_fault = on_fault
        self._file: int | None = None  # open until the process is over

    def begin(self) -> None:
        """Begin the trace of this process; again after the folder was away."""
        path = self._folder / self._name
        if self._on_fault is None or path.exists():
            return
        with suppress(OSError):  # without a trace its death counts
            self._folder.mkdir(exist_ok=True, mode=0o700)
            before, self._file = self._file, os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
            self._on_fault(self._file)
            if before is not None:
                os.close(before)
            os.write(self._file, f"{_count_kills()}\n".encode())

    def tell_fault(self, name: str) -> bool:
        """Tell whether a process that died may have done so by its job; True if nobody knows."""
        kills_before, _, fault = _read(self._folder / name).partition("\n")
        kills = _count_kills()
        if fault:
            logger.error("event=process_died worker=%s trace=%s", name, fault[:_SHOWN])
        return bool(fault) or kills is None or kills_before != str(kills)

    def end(self) -> None:
        """Remove the trace of this process, which ends in order."""
        with suppress(OSError):
            (self._folder / self._name).unlink()

    def forget(self, holders: Collection[str]) -> None:
        """Remove old traces of processes that hold no job; one that lives begins its own again."""
        oldest = time.time() - _OLD_S
        for path in self._folder.glob("*"):
            if path.name not in holders and path.name != self._name:
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()


def _count_kills() -> int | None:
    """Return how many processes the kernel has killed for want of memory; None if it is silent."""
    for line in _read(_KERNEL_COUNTS).splitlines():
        key, _, value = line.partition(" ")
        if key == _KILLS:
            return int(value)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
