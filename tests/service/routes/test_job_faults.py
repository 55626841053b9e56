"""/jobs while its folder is away, full or damaged: an answer of its own, and no restart."""

from __future__ import annotations

import errno
import os
import shutil
import time

import numpy as np
import pytest


@pytest.fixture(name="model")
def model_fixture(counted_model):
    counted_model.whole_pixels = 10_000
    return counted_model


@pytest.fixture(name="body", scope="module")
def body_fixture(encode):
    return encode(np.full((150, 200, 3), 220, np.uint8))


def wait_for(client, job: str, state: str) -> dict:
    deadline = time.monotonic() + 120
    while (document := client.get(f"/jobs/{job}").json())["state"] != state:
        assert time.monotonic() < deadline, document
        time.sleep(0.01)
    return document


def test_a_state_folder_that_was_deleted_comes_back_without_a_restart(start, model, body, png):
    client = start(model)
    lost = client.post("/jobs", content=body).json()["id"]
    wait_for(client, lost, "done")
    folder = client.app.state.services.settings.state_folder
    shutil.rmtree(folder)
    folder.write_text("in the way")
    answer = client.post("/jobs", content=body)
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("#problem-jobs-off")
    assert client.post("/segment", content=png).status_code == 200
    assert client.get(f"/jobs/{lost}").status_code == 404
    folder.unlink()
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")
    shutil.rmtree(folder / "jobs" / "incoming")
    assert client.post("/jobs", content=body).status_code in (202, 503)
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")


def test_a_damaged_store_switches_jobs_off_until_it_is_removed(start, model, body, png, caplog):
    client = start(model)
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")
    folder = client.app.state.services.settings.job_folder
    for path in folder.glob("jobs.sqlite*"):
        path.write_bytes(b"no database at all" * 3000)
    for _ in range(3):
        answer = client.post("/jobs", content=body)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("#problem-jobs-off")
    assert client.post("/segment", content=png).status_code == 200
    assert not any(record.exc_info for record in caplog.records), "a fault is not a stack trace"
    assert list(folder.glob("incoming/*")) == []
    for path in folder.glob("jobs.sqlite*"):
        path.unlink()
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")


def test_an_upload_in_chunks_on_a_full_disk_is_a_507_and_leaves_nothing(
    start, model, body, monkeypatch
):
    client = start(model)

    async def no_space(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("maskzoo.service.decoding.pool.Decoder.header", no_space)
    answer = client.post("/jobs", content=iter([body[:1000], body[1000:]]))
    assert answer.status_code == 507
    assert answer.json()["type"].endswith("#problem-disk-full")
    folder = client.app.state.services.settings.job_folder
    assert [*folder.glob("incoming/*"), *folder.glob("work/*")] == []


def test_a_tiled_job_on_a_full_disk_fails_with_507(start, model, body, monkeypatch):
    client = start(model)

    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", no_space)
        job = client.post("/jobs", content=body).json()["id"]
        failed = wait_for(client, job, "failed")
    assert failed["error"]["status"] == 507
    assert list(((client.app.state.services.settings.job_folder / "work") / job).iterdir()) == []
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")
