"""The service as a process of its own: started, stopped, killed, started again."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(name="noise", scope="module")
def noise_fixture(encode) -> bytes:
    """An image that is some work."""
    return encode(np.random.default_rng(1).integers(0, 255, (700, 900, 3), np.uint8), ".jpg")


def test_sigterm_finishes_what_is_in_flight_and_exits_with_0(run, noise):
    with run(shutdown_s=100) as server, ThreadPoolExecutor(1) as pool:
        working = pool.submit(server.client.post, "/segment?mode=whole", content=noise)
        server.wait(server.is_working)
        assert server.end(signal.SIGTERM) == 0
        assert working.result().status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url + "/healthz")
        assert "Traceback" not in server.text()


def test_sigterm_answers_what_is_not_done_in_time_and_exits_with_0(run, noise):
    with run(shutdown_s=0) as server, ThreadPoolExecutor(1) as pool:
        working = pool.submit(server.client.post, "/segment?mode=tiled&tta=d4", content=noise)
        server.wait(server.is_working)
        assert server.end(signal.SIGTERM) == 0
        answer = working.result()
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("#problem-stopping")


def test_sigterm_ends_in_time_whatever_is_being_decoded(run):
    poison = b"\xff\xd8" + b"\xff\xe0\x00\x02" * 7_000_000  # minutes of empty segments
    with run(shutdown_s=0, decode_s=10_000) as server, ThreadPoolExecutor(2) as pool:
        decoding = [pool.submit(server.client.post, "/segment", content=poison) for _ in range(2)]
        server.wait(lambda: len(children_of(server.process.pid)) == 2)
        children = children_of(server.process.pid)
        assert server.end(signal.SIGTERM) == 0
        assert [answer.result().status_code for answer in decoding] == [503, 503]
        assert not any(Path(f"/proc/{child}").exists() for child in children)


def children_of(pid: int) -> list[str]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for file in found for child in file.read_text().split()]


def test_sigterm_gives_a_job_to_the_next_process(run, noise):
    with run() as first:
        job = first.client.post("/jobs?mode=tiled&tta=flip", content=noise).json()["id"]
        first.wait(lambda: first.client.get(f"/jobs/{job}").json()["tiles_done"] > 0)
        assert first.end(signal.SIGTERM) == 0
        assert "Traceback" not in first.text()
    with run() as second:
        assert second.wait_for_job(job, "done", "failed")["state"] == "done"
        assert second.client.get(f"/jobs/{job}/result").status_code == 200
        assert second.end(signal.SIGINT) == 0


def test_kill_9_loses_no_accepted_job(run, noise):
    with run() as first:
        jobs = [
            first.client.post(f"/jobs?mode=tiled&format={name}", content=noise).json()["id"]
            for name in ("png", "json", "png")
        ]
        first.wait(lambda: first.client.get(f"/jobs/{jobs[0]}").json()["tiles_done"] > 0)
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    with run() as second:
        for job in jobs:
            assert second.wait_for_job(job, "done", "failed")["state"] == "done"
            assert second.client.get(f"/jobs/{job}/result").status_code == 200
        folder = second.client.get(f"/jobs/{jobs[0]}").json()
        assert folder["progress"] == 1


def test_a_stream_of_events_does_not_hold_the_end_up(run, noise):
    with run(shutdown_s=10_000) as server, ThreadPoolExecutor(1) as pool:
        job = server.client.post("/jobs?mode=tiled&tta=d4", content=noise).json()["id"]

        def follow() -> list[str]:
            with server.client.stream("GET", f"/jobs/{job}/events") as stream:
                return list(stream.iter_lines())

        following = pool.submit(follow)
        server.wait(lambda: server.client.get(f"/jobs/{job}").json()["tiles_done"] > 0)
        assert server.end(signal.SIGTERM) == 0, "the limit of the end was not needed"
        assert any('"running"' in line for line in following.result())


def test_a_hang_up_ends_like_sigterm(run, noise):
    with run(shutdown_s=100) as server, ThreadPoolExecutor(1) as pool:
        working = pool.submit(server.client.post, "/segment?mode=whole", content=noise)
        server.wait(server.is_working)
        assert server.end(signal.SIGHUP) == 0
        assert working.result().status_code == 200


def test_a_second_sigint_ends_at_once_and_answers_503(run, noise):
    with run(shutdown_s=10_000) as server, ThreadPoolExecutor(1) as pool:
        working = pool.submit(server.client.post, "/segment?mode=tiled&tta=d4", content=noise)
        server.wait(server.is_working)
        server.process.send_signal(signal.SIGINT)
        server.wait(lambda: "event=stopping" in server.text())
        assert server.end(signal.SIGINT) == 130
        assert working.result().status_code == 503, "it did not wait for the work"


@pytest.mark.parametrize("proxies", ["", "127.0.0.1"])
def test_only_a_configured_proxy_says_who_the_client_is(run, proxies):
    with run(rate_limit=0.001, rate_burst=1, proxies=proxies) as server:
        found = {
            server.client.post(
                "/segment", content=b"x", headers={"X-Forwarded-For": f"8.8.8.{number}"}
            ).status_code
            for number in range(3)
        }
        assert (429 in found) is (proxies == "")
        assert ("client='8.8.8.1'" in server.text()) is (proxies != "")


def test_starts_in_a_row_load_all_shipped_models_and_none_hangs(run):
    """Two load at once, on OpenVINO; 200 small starts are in `models/engines/test_openvino.py`."""
    for _ in range(4):
        with run(shipped_bundles=True, engine="auto") as server:
            models = server.client.get("/models").json()["models"]
            engines = {model["name"]: (model["engine"] or {}).get("name") for model in models}
            assert {"nuclei", "aerial"} <= engines.keys()
            assert all(model["state"] == "ready" for model in models), models
            assert server.end(signal.SIGTERM) == 0
            assert "event=stalled" not in server.text()
