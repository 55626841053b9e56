"""A server whose disk fills up: 507, never a bus error, and no restart is needed."""

from __future__ import annotations

import signal
import subprocess

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def left_over(folder) -> list[str]:
    return [path.name for part in ("incoming", "work") for path in (folder / part).iterdir()]


def test_a_full_disk_is_a_507_and_the_server_lives(run, small_disk, fill, encode, png):
    large = encode(np.full((4000, 4000, 3), 20, np.uint8))
    small = encode(np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8))
    with run(state=small_disk / "state", job_max_pixels=10**8) as server:
        client, folder = server.client, small_disk / "state" / "jobs"
        refused = client.post("/jobs?mode=tiled", content=large)
        assert refused.status_code == 507, "its arrays do not fit beside the store"
        assert refused.json()["type"].endswith("#problem-disk-full")
        done = client.post("/jobs?mode=tiled", content=small).json()["id"]
        assert server.wait_for_job(done, "done", "failed")["state"] == "done"
        fill(small_disk / "full")
        for body in (small, iter([small[:50_000], small[50_000:]]), bytes(8 << 20)):
            answer = client.post("/jobs", content=body, headers={"Content-Type": "image/png"})
            assert answer.status_code == 507, answer.text
        assert left_over(folder) == [done]
        assert client.get(f"/jobs/{done}/result").status_code == 200
        assert client.post("/segment", content=png).status_code == 200
        (small_disk / "full").unlink()
        again = client.post("/jobs?mode=tiled", content=small).json()["id"]
        assert server.wait_for_job(again, "done", "failed")["state"] == "done"
        assert "Traceback" not in server.text()
        assert server.end(signal.SIGTERM) == 0


def test_a_job_of_a_killed_server_ends_on_a_full_disk_too(run, small_disk, fill, encode):
    body = encode(np.random.default_rng(1).integers(0, 255, (500, 700, 3), np.uint8), ".jpg")
    with run(state=small_disk / "state") as first:
        job = first.client.post("/jobs?mode=tiled&tta=d4", content=body).json()["id"]
        first.wait(lambda: first.client.get(f"/jobs/{job}").json()["tiles_done"] > 0)
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    fill(small_disk / "full")
    with run(state=small_disk / "state") as second:
        ended = second.wait_for_job(job, "done", "failed")
        assert ended["state"] == "done" or ended["error"]["status"] == 507
        assert second.end(signal.SIGTERM) == 0


def test_a_read_only_disk_is_a_503_until_it_is_writable(run, small_disk, encode, png):
    small = encode(np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8))
    remount(small_disk, "ro")
    with run(state=small_disk / "state") as server:
        client = server.client
        for _ in range(2):
            answer = client.post("/jobs", content=small)
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"].endswith("#problem-jobs-off")
            assert client.post("/segment", content=png).status_code == 200
        assert "Traceback" not in server.text()
        remount(small_disk, "rw")
        job = client.post("/jobs", content=small).json()["id"]
        assert server.wait_for_job(job, "done", "failed")["state"] == "done"
        assert left_over(small_disk / "state" / "jobs") == [job]


def remount(folder, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
