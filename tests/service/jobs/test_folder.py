"""The folder of jobs goes away, fills up or is damaged, and comes back."""

from __future__ import annotations

import logging
import shutil
import sqlite3

import pytest

from maskzoo.service.errors import DiskFullError, JobsOffError
from maskzoo.service.jobs.folder import JobFolder, NoJobsError
from tests.service.headers import at


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    folder = JobFolder(tmp_path / "jobs", free_bytes=0)
    yield folder
    folder.close()


def count(store, files) -> int:
    return store.count_active()


def test_nothing_is_made_on_the_disk_before_the_first_job(folder):
    with pytest.raises(NoJobsError):
        folder.run(count)
    assert not folder.path.exists()
    assert folder.run(count, is_new=True) == 0
    assert folder.run(count) == 0


def test_a_folder_that_was_deleted_is_made_again_by_a_new_job_only(folder):
    folder.run(count, is_new=True)
    shutil.rmtree(folder.path)
    with pytest.raises(NoJobsError):
        folder.run(count)
    assert not folder.path.exists()
    assert folder.run(count, is_new=True) == 0


def test_a_damaged_store_is_a_fault_until_its_file_is_gone(folder):
    folder.run(count, is_new=True)
    folder.close()
    for path in folder.path.glob("jobs.sqlite*"):
        path.write_bytes(b"no database at all" * 300)
    for _ in range(2):
        with pytest.raises(JobsOffError):
            folder.run(count)
    for path in folder.path.glob("jobs.sqlite*"):
        path.unlink()
    assert folder.run(count, is_new=True) == 0


def test_a_fault_is_logged_once_and_its_end_too(folder, caplog):
    folder.run(count, is_new=True)

    def fail(store, files):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            with pytest.raises(JobsOffError):
                folder.run(fail)
        folder.run(count)
        folder.run(count)
    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events == ["event=jobs_off", "event=jobs_back"]
    assert not any(record.exc_info for record in caplog.records)


def test_an_error_of_the_work_itself_is_not_a_fault_of_the_folder(folder):
    def fail(store, files):
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        folder.run(fail, is_new=True)


def test_on_a_full_disk_the_ballast_makes_room_for_the_end_of_a_job(small_disk, fill):
    folder = JobFolder(small_disk / "jobs", free_bytes=0)
    folder.run(count, is_new=True)
    assert (folder.path / "ballast").stat().st_blocks * 512 == 1 << 20
    fill(small_disk / "full")

    def write(store, files):
        (folder.path / "row").write_bytes(bytes(100_000))

    with pytest.raises(DiskFullError):
        folder.run(write, is_new=True)
    assert (folder.path / "ballast").exists(), "new jobs do not get its space"
    folder.run(write)
    assert not (folder.path / "ballast").exists()
    (small_disk / "full").unlink()
    folder.keep_ballast()
    assert (folder.path / "ballast").exists()
    folder.close()


def test_after_a_restart_on_a_full_disk_the_store_still_opens(small_disk, fill):
    folder = JobFolder(small_disk / "jobs", free_bytes=0)
    folder.run(count, is_new=True)
    folder.close()
    fill(small_disk / "full")
    again = JobFolder(small_disk / "jobs", free_bytes=0)
    assert again.run(lambda store, files: store.claim("w", now=at(1), lease_s=1)) is None
    again.close()


@pytest.mark.parametrize(("free_bytes", "reserve"), [(2 << 20, 0), (4 << 20, 3 << 20)])
def test_the_ballast_leaves_what_the_disk_must_keep(tmp_path, monkeypatch, free_bytes, reserve):
    folder = JobFolder(tmp_path / "jobs", free_bytes=reserve)
    for free, is_kept in ((free_bytes, False), (free_bytes + 1, True)):
        monkeypatch.setattr(folder, "_free", lambda free=free: free)
        if not is_kept:
            folder.run(count, is_new=True)
        folder.keep_ballast()
        assert (folder.path / "ballast").exists() is is_kept
    folder.close()
