"""The service on Ray, for real: on this machine, and on two nodes of which one is cut off."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from maskzoo.service.client.clients import Client
from maskzoo.service.client.retries import RetryPolicy
from tests.service.replicas.ray_nodes import RAY, ROOT, Cluster, cluster, haproxy_files, wait_for

pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.slow

MASKZOO = (sys.executable, "-m", "maskzoo")
QUICK = {
    "MASKZOO_SHIPPED_BUNDLES": "false",
    "MASKZOO_ENGINE": "torch",
    "MASKZOO_DEVICE": "cpu",
    "MASKZOO_REQUEST_TIMEOUT_S": "5",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "7",
}


@pytest.fixture(scope="module")
def local(bundles: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`maskzoo serve --ray` on this machine: its address and its process."""
    port, stats, metrics = _free_port(), _free_port(), _free_port()
    with tempfile.TemporaryDirectory(prefix="mzray") as folder:
        env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        mine = {"RAY_TMPDIR": folder, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [*MASKZOO, "serve", "--ray", f"--port={port}", f"--bundles={bundles}"],
            env=env
            | QUICK
            | mine
            | haproxy_files(folder)
            | {
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
                "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("listening on "):
                break
        else:
            pytest.fail("".join(lines))
        reading = threading.Thread(target=process.stdout.read, daemon=True)
        reading.start()
        yield lines[-1].split()[-1], process
        _end(process)
        reading.join(60)
        process.stdout.close()


def test_a_replica_answers_as_one_process_does(local, png) -> None:
    url = local[0]
    with httpx.Client(base_url=url, timeout=60) as client:
        answer = client.post("/segment?model=cells&format=json", content=png)
        assert (answer.status_code, answer.json()["model"]) == (200, "cells")
        assert len(answer.headers.get_list("x-request-id")) == 1
        assert client.get("/readyz").json()["models"] == {"cells": "ready", "streets": "ready"}
        refused = client.post("/segment", content=b"no image", headers={"X-Request-ID": "mine"})
        assert refused.status_code == 400
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers.get_list("x-request-id") == ["mine"]


def test_jobs_of_replicas_that_do_not_share_them_are_refused(local, png) -> None:
    for answer in (
        httpx.post(f"{local[0]}/jobs", content=png, timeout=60),
        httpx.get(f"{local[0]}/jobs/{'0' * 32}", timeout=60),
    ):
        assert answer.status_code == 503
        assert "replicas share their jobs" in answer.json()["detail"]


def test_a_signal_ends_ray_and_all_its_processes(local) -> None:
    process = local[1]
    started = psutil.Process(process.pid).children(recursive=True)
    assert len(started) > 4  # those of Ray, its proxy and a replica
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    assert psutil.wait_procs(started, timeout=30)[1] == []


@pytest.fixture(scope="module")
def two_nodes(bundles: Path) -> Iterator[Cluster]:
    """Two nodes, with the service on both."""
    if os.geteuid() != 0 or subprocess.run(["ip", "netns"], capture_output=True).returncode:
        pytest.skip("needs root and network namespaces")
    with cluster() as nodes:
        _deploy(nodes, bundles)
        yield nodes


def test_both_nodes_serve_and_both_have_a_replica(two_nodes: Cluster, png) -> None:
    for node in range(2):
        for _ in range(8):
            assert _post(two_nodes.url(node), png).status_code == 200
    counts = _answers(two_nodes.addresses[0])
    assert len(counts) == 2
    assert min(counts.values()) > 0
    for node in range(2):
        assert sum("ServeReplica" in line for line in two_nodes.processes(node)) == 1


def test_without_the_token_ray_tells_nothing(two_nodes: Cluster) -> None:
    asked = two_nodes.run(
        0,
        RAY,
        "status",
        f"--address={two_nodes.head}",
        env={"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": ""},
    )
    assert asked.returncode != 0


def test_a_rolling_update_loses_no_request(two_nodes: Cluster, bundles: Path, png) -> None:
    before = set(_answers(two_nodes.addresses[0]))
    with Load(two_nodes.url(0), png, RetryPolicy(retries=0)) as load:
        _deploy(two_nodes, bundles, MASKZOO_QUEUE_S="14")
        wait_for(lambda: not before & set(_answers(two_nodes.addresses[0])))
        load.go_on(20)
    assert set(load.errors) == set()


def test_a_node_that_is_cut_off_costs_a_client_a_retry_and_no_answer(
    two_nodes: Cluster, png
) -> None:
    with Load(two_nodes.url(0), png, RetryPolicy(retries=6)) as load:
        load.go_on(10)
        two_nodes.cut_off(1)
        load.go_on(40)
    assert set(load.errors) == set()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{two_nodes.url(1)}/healthz", timeout=2)


class Load:
    """Clients that send one image after the other until the block ends.

    Attributes:
        errors: what was not answered as the first answer was.
    """

    def __init__(self, url: str, png: bytes, policy: RetryPolicy, clients: int = 3) -> None:
        self.errors: list[str] = []
        self.answered = 0
        self._url, self._png, self._policy = url, png, policy
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(clients)]
        with Client(self._url, policy=RetryPolicy(retries=20)) as client:
            self._expected = self._ask(client)

    def go_on(self, answers: int) -> None:
        """Wait for so many more answers."""
        enough = self.answered + answers
        wait_for(lambda: self.answered >= enough or bool(self.errors))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(120)

    def _ask(self, client: Client) -> bytes:
        return client.segment(self._png, model="cells").label_map.tobytes()

    def _send(self) -> None:
        with Client(self._url, timeout_s=20, policy=self._policy) as client:
            while not self._is_over.is_set():
                try:
                    if self._ask(client) != self._expected:
                        self.errors.append("another answer")
                except Exception as error:
                    self.errors.append(repr(error))
                self.answered += 1


def _deploy(nodes: Cluster, bundles: Path, **env: str) -> None:
    done = nodes.run(
        0,
        *MASKZOO,
        "serve",
        "--ray",
        f"--address={nodes.head}",
        "--host=0.0.0.0",
        "--replicas=2",
        f"--bundles={bundles}",
        env=QUICK | env,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "serving on port 8000" in done.stdout


def _post(url: str, png: bytes) -> httpx.Response:
    return httpx.post(f"{url}/segment?model=cells", content=png, timeout=60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _answers(address: str) -> dict[str, int]:
    """Return the requests that HAProxy sent to each replica, by its name."""
    text = httpx.get(f"http://{address}:8404/stats;csv", timeout=10).text
    rows = csv.DictReader(text.lstrip("# ").splitlines())
    return {
        row["svname"]: int(row["stot"])
        for row in rows
        if row["svname"].startswith("SERVE_REPLICA") and row["status"].startswith("UP")
    }


def _end(process: subprocess.Popen[str]) -> None:
    """End what a failed test has left."""
    if process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(60)
        for child in children:
            if child.is_running():
                child.kill()
