"""/jobs while its folder is away, full or damaged: an answer of its own, and no restart."""

from __future__ import annotations

import errno
import os
import shutil

from tests.service.routes.jobs import wait_for


def in_store_thread(client, change) -> None:
    """Change the folder between two accesses of the service to it, which polls it."""
    client.portal.call(client.app.state.services.jobs._in_thread, change)


def test_a_state_folder_that_was_deleted_comes_back_without_a_restart(start, model, body, png):
    client = start(model)
    lost = client.post("/jobs", content=body).json()["id"]
    wait_for(client, lost, "done")
    folder = client.app.state.services.settings.state_folder

    def take_away() -> None:
        shutil.rmtree(folder)
        folder.write_text("in the way")

    in_store_thread(client, take_away)
    answer = client.post("/jobs", content=body)
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("#problem-jobs-off")
    assert client.post("/segment", content=png).status_code == 200
    assert client.get(f"/jobs/{lost}").status_code == 404
    folder.unlink()
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")
    in_store_thread(client, lambda: shutil.rmtree(folder / "jobs" / "incoming"))
    assert client.post("/jobs", content=body).status_code in (202, 503)
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")


def test_a_damaged_store_switches_jobs_off_until_it_is_removed(start, model, body, png, caplog):
    client = start(model)
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")
    folder = client.app.state.services.settings.job_folder

    def damage() -> None:
        for path in folder.glob("jobs.sqlite*"):
            path.write_bytes(b"no database at all" * 3000)

    in_store_thread(client, damage)
    for _ in range(3):
        answer = client.post("/jobs", content=body)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("#problem-jobs-off")
    assert client.post("/segment", content=png).status_code == 200
    assert not any(record.exc_info for record in caplog.records), "a fault is not a stack trace"
    assert list(folder.glob("incoming/*")) == []

    def remove() -> None:
        for path in folder.glob("jobs.sqlite*"):
            path.unlink()

    in_store_thread(client, remove)
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


def test_a_folder_that_cannot_be_used_switches_jobs_off_and_nothing_else(
    start, model, body, tmp_path, png
):
    (tmp_path / "file").write_text("in the way")
    client = start(model, state_folder=tmp_path / "file")
    answer = client.post("/jobs", content=body)
    assert answer.status_code == 503
    assert "MASKZOO_STATE_FOLDER" in answer.json()["detail"]
    assert str(tmp_path) not in answer.text
    assert client.post("/segment", content=png).status_code == 200
    assert client.get("/jobs/" + "0" * 32).status_code == 404
