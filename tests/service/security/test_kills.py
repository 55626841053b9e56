"""`kill -9` in the middle of running jobs: all that were accepted end, with the right results."""

from __future__ import annotations

import io
import random
import signal
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.slow

NUM_KILLS = 20
OPTIONS = [
    {"format": "png"},
    {"format": "json", "masks": "rle"},
    {"format": "tiff", "tta": "flip"},
    {"format": "npz"},
]
HEADERS = {"X-Request-ID": "the-same"}


@pytest.fixture(name="bodies", scope="module")
def bodies_fixture(encode) -> list[bytes]:
    """A JPEG, a PNG, and a TIFF that is read by rows in a process."""
    pixels = np.random.default_rng(1).integers(0, 255, (700, 900, 3), np.uint8)
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", tile=(128, 128), compression="zlib")
    return [encode(pixels, ".jpg"), encode(pixels), stream.getvalue()]


def states(server, jobs) -> dict[str, str]:
    """Return the states of jobs; of those that run, only if they are in the middle of it."""
    documents = {job: server.client.get(f"/jobs/{job}").json() for job in jobs}
    return {
        job: document["state"]
        for job, document in documents.items()
        if document["state"] != "running" or 0 < document["tiles_done"] < document["tiles"]
    }


def were_running(state_folder) -> int:
    """Return how many jobs a killed server had not ended."""
    with closing(sqlite3.connect(state_folder / "jobs" / "jobs.sqlite")) as store:
        return store.execute("SELECT count(*) FROM jobs WHERE state = 'running'").fetchone()[0]


@pytest.mark.timeout(2400)
def test_twenty_kills_in_the_middle_lose_no_job_and_spoil_none(run, bodies, tmp_path):
    chance = random.Random(2)
    jobs: dict[str, tuple[dict[str, str], bytes]] = {}
    ended, kills = 0, 0
    while kills < NUM_KILLS:
        with run() as server:
            for _ in range(6 if len(jobs) - ended < 4 else 0):
                asked = OPTIONS[len(jobs) % len(OPTIONS)], bodies[len(jobs) % len(bodies)]
                jobs[submit(server, *asked)] = asked
            wanted = ended + chance.choice([0, 0, 1])  # some kills wait for the end of a job

            def is_time(server=server, wanted=wanted) -> bool:
                found = list(states(server, jobs).values())
                return "running" in found and found.count("done") >= wanted

            server.wait(is_time)
            ended = list(states(server, jobs).values()).count("done")
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
            kills += were_running(tmp_path / "state") > 0
            assert server.process.stdout.read() == "", "nothing holds its output open"
    with run() as server:
        for job, (options, body) in jobs.items():
            assert server.wait_for_job(job, "done", "failed")["state"] == "done"
            result = server.client.get(f"/jobs/{job}/result")
            params = {"mode": "tiled", **options}
            alone = server.client.post("/segment", params=params, content=body, headers=HEADERS)
            assert plain(result) == plain(alone), options


def submit(server, options: dict[str, str], body: bytes) -> str:
    params = {"mode": "tiled", **options}
    answer = server.client.post("/jobs", params=params, content=body, headers=HEADERS)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def plain(answer) -> object:
    if "json" not in answer.headers["content-type"]:
        return answer.content
    return {key: value for key, value in answer.json().items() if key != "timings_ms"}
