"""One server as a tree of processes: started, watched, and ended to the last of them.

Some servers leave children that outlive their parent. This process therefore adopts orphans
(Linux: PR_SET_CHILD_SUBREAPER), so that every process of the tree stays among its descendants and
can be ended. That happens on Ctrl-C and SIGTERM too.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from servers.load import ask, form_of

Ready = Callable[[int], str | None]
"""Told the port; returns what is wrong, or None."""

_SUBREAPER = 36  # of prctl(2)
_START_S = 120
_END_S = 15
_WATCH_S = 1.0  # a look at a large process takes some milliseconds


class Running:
    """A server that answers.

    Args:
        port: where.
        cold_start_s: from its start to its first mask.
    """

    def __init__(self, port: int, cold_start_s: float) -> None:
        self.port = port
        self.cold_start_s = cold_start_s
        self.peak_bytes = 0

    def look(self) -> None:
        """Keep the largest resident memory of the tree; pages that are shared count once."""
        self.peak_bytes = max(self.peak_bytes, resident_bytes())

    def watch(self, done: threading.Event) -> None:
        """Look again and again."""
        while not done.wait(_WATCH_S):
            self.look()


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent has ended, and end all on SIGTERM too."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def resident_bytes() -> int:
    """Return the proportional set size of all descendants of this process."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(OSError, psutil.Error):
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += int(text.split("\nPss:")[1].split()[0]) * 1024
    return total


def answers(image: bytes) -> Ready:
    """Return the question whether a server gives a mask for this image."""

    def ask_it(port: int) -> str | None:
        with contextlib.closing(_connection(port)) as connection:
            status, _ = ask(connection, form_of(image))
            return None if status == 200 else f"answered {status}"

    return ask_it


def is_ready(port: int) -> str | None:
    """Ask /readyz, which a server of ours answers with 200 when every model is loaded."""
    with contextlib.closing(_connection(port)) as connection:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        return None if status == 200 else f"answered {status}"


@contextlib.contextmanager
def running(
    command: list[str], environment: dict[str, str], folder: Path, ready: Ready, log: Path
) -> Iterator[Running]:
    """Start a server, yield it when it is ready, and end it.

    Args:
        environment: of the server, beside this process's; BENCH_PORT is added, and `{port}` in the
            command is replaced.
        ready: is asked until it returns None.

    Raises:
        RuntimeError: it does not become ready; the end of its log is in the message.
    """
    port = _free_port()
    command = [word.replace("{port}", str(port)) for word in command]
    environment = os.environ | environment | {"BENCH_PORT": str(port)}
    start = time.perf_counter()
    done = threading.Event()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait(process, port, ready, log)
            server = Running(port, time.perf_counter() - start)
            threading.Thread(target=server.watch, args=(done,), daemon=True).start()
            yield server
        finally:
            done.set()
            _end(process)


def _wait(process: subprocess.Popen[bytes], port: int, ready: Ready, log: Path) -> None:
    end = time.monotonic() + _START_S
    reason: str | None = "no answer"
    while time.monotonic() < end:
        if process.poll() is not None:
            reason = f"ended with {process.returncode}"
            break
        try:
            reason = ready(port)
        except (OSError, http.client.HTTPException) as error:
            reason = repr(error)
        if reason is None:
            return
        time.sleep(0.02)
    tail = log.read_text(errors="replace")[-800:]
    raise RuntimeError(f"{reason}; its log ends: {tail}")


def _connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=_START_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the first process to end, then end every descendant that is left."""
    tree = psutil.Process().children(recursive=True)
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
    tree += psutil.Process().children(recursive=True)
    for one in {one.pid: one for one in tree}.values():  # psutil compares the time of birth too
        with contextlib.suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(tree, timeout=_END_S)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
