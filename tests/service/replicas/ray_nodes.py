"""Ray nodes in network namespaces of this machine, each with an address of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]
RAY = str(Path(sys.executable).with_name("ray"))

LEAN = {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    # A node that is cut off is noticed after 4 s instead of half a minute.
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


def haproxy_files(folder: str | Path) -> dict[str, str]:
    """Return the variables that keep HAProxy's files in a folder that is removed."""
    files = {
        "CONFIG_FILE_LOC": "haproxy.cfg",
        "SOCKET_PATH": "admin.sock",
        "SERVER_STATE_FILE": "server-state",
        "METRICS_SOCKET_PATH": "metrics.sock",
    }
    paths = {f"RAY_SERVE_HAPROXY_{name}": f"{folder}/h/{file}" for name, file in files.items()}
    return paths | {"RAY_SERVE_HAPROXY_SERVER_STATE_BASE": f"{folder}/h"}


class Cluster:
    """A head and one more node, on a bridge; `addresses` are theirs."""

    def __init__(
        self, switch: str, names: list[str], addresses: list[str], env: dict[str, str]
    ) -> None:
        self.switch = switch
        self.names = names
        self.addresses = addresses
        self.env = env

    @property
    def head(self) -> str:
        """The address for `--address`."""
        return f"{self.addresses[0]}:6379"

    def url(self, node: int) -> str:
        """The address of a node's proxy."""
        return f"http://{self.addresses[node]}:8000"

    def run(
        self, node: int, *command: str, env: dict[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a node."""
        return subprocess.run(
            ["ip", "netns", "exec", self.names[node], *command],
            env=self.env | (env or {}),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def processes(self, node: int) -> list[str]:
        """Return the command lines of all processes of a node."""
        found = subprocess.run(
            ["ip", "netns", "pids", self.names[node]], capture_output=True, text=True, check=True
        )
        return [" ".join(psutil.Process(int(pid)).cmdline()) for pid in found.stdout.split()]

    def cut_off(self, node: int) -> None:
        """Take the cable of a node away: nothing is closed, and nothing arrives any more."""
        _ip("-n", self.switch, "link", "set", f"{self.names[node]}a", "down")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run two nodes of two cores; afterwards no process of theirs is left."""
    mark = f"mz{os.getpid() % 10000}"
    net = f"10.77.{os.getpid() % 250}"
    switch, names = f"{mark}s", [f"{mark}n{number}" for number in range(2)]
    addresses = [f"{net}.{number + 2}" for number in range(2)]
    folder = Path(tempfile.mkdtemp(prefix="mzray"))  # its sockets need a short path
    files = haproxy_files(folder) | {"RAY_TMPDIR": str(folder)}
    env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    found = Cluster(switch, names, addresses, env | LEAN | files)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # The switch has a namespace of its own, as the rules of the host's firewall (Docker's drop
        # what is forwarded) hold for bridges too.
        _add_namespace(stack, switch)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        _plug_in(switch, f"{mark}h", f"{net}.1")
        stack.callback(_ip, "link", "del", f"{mark}h")
        for name, address in zip(names, addresses, strict=True):
            _add_namespace(stack, name)
            _plug_in(switch, f"{name}a", address, namespace=name)
        common = ["--num-cpus=2", "--object-store-memory=80000000", "--disable-usage-stats"]
        parts = (
            ["--head", "--port=6379", "--include-dashboard=false"],
            [f"--address={found.head}"],
        )
        for node, part in enumerate(parts):
            ip_ = f"--node-ip-address={addresses[node]}"
            done = found.run(node, RAY, "start", *part, ip_, *common)
            assert done.returncode == 0, done.stdout + done.stderr
        yield found


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for another process to make `condition` true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.1)


def _add_namespace(stack: ExitStack, name: str) -> None:
    _ip("netns", "add", name)
    stack.callback(_end_namespace, name)
    _ip("-n", name, "link", "set", "lo", "up")


def _plug_in(switch: str, cable: str, address: str, *, namespace: str | None = None) -> None:
    """Connect this machine, or a namespace, with the switch."""
    there = ("-n", namespace) if namespace else ()
    _ip("link", "add", "mzcable", "type", "veth", "peer", "name", cable, "netns", switch)
    _ip("-n", switch, "link", "set", cable, "master", "switch", "up")
    if namespace:
        _ip("link", "set", "mzcable", "netns", namespace)
    _ip(*there, "link", "set", "mzcable", "name", cable)
    _ip(*there, "addr", "add", f"{address}/24", "dev", cable)
    _ip(*there, "link", "set", cable, "up")


def _end_namespace(name: str) -> None:
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout
    for pid in pids.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
    _ip("netns", "del", name)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
