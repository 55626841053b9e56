"""The files of jobs: arrays have their space, and results are written as a whole."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from maskzoo.service.errors import DiskFullError
from maskzoo.service.jobs.files import JobArrays, JobFiles


@dataclass(frozen=True)
class Held:
    """What the files know of a job that a worker holds."""

    id: str = "a"
    worker: str = "w"


@pytest.fixture(name="files")
def files_fixture(tmp_path):
    files = JobFiles(tmp_path, free_bytes=0)
    (tmp_path / "work" / "a").mkdir()
    return files


@pytest.fixture(name="names")
def names_fixture(tmp_path):
    return lambda: sorted(path.name for path in (tmp_path / "work" / "a").iterdir())


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_array_that_left_memory_holds_what_was_written(files):
    arrays = JobArrays(files, Held())
    array = arrays.array("labels", (300, 400), np.uint8)
    assert not array.any()
    wanted = np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8)
    array[:] = wanted
    arrays.release(array)
    np.testing.assert_array_equal(array, wanted)
    arrays.release(wanted)  # in plain memory it stays as it is
    np.testing.assert_array_equal(array, wanted)


def test_the_space_of_an_array_is_its_own_before_it_is_filled(files):
    JobArrays(files, Held()).array("confidence", (300, 400), np.float16)
    assert files.scratch(Held(), "confidence").stat().st_blocks * 512 >= 300 * 400 * 2


def test_an_array_that_does_not_fit_is_a_full_disk_and_leaves_nothing(files, names, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", no_space)
    with pytest.raises(DiskFullError):
        JobArrays(files, Held()).array("labels", (30, 40), np.uint8)
    assert names() == []


def test_a_result_appears_as_a_whole(files, names):
    path = files.write_result(Held(), "png", b"mask")
    assert path.read_bytes() == b"mask"
    assert names() == ["result.png"]


def test_a_result_that_does_not_fit_is_a_full_disk_and_leaves_nothing(files, names, monkeypatch):
    monkeypatch.setattr(os, "fsync", no_space)  # delayed allocation tells it that late
    with pytest.raises(DiskFullError):
        files.write_result(Held(), "png", b"mask")
    assert names() == []


def test_a_result_that_is_served_is_not_touched_by_one_that_fails(files, names, monkeypatch):
    files.write_result(Held(), "png", b"mask")
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(DiskFullError):
        files.write_result(Held(), "png", b"other")
    assert files.result("a", "result.png").read_bytes() == b"mask"
    assert names() == ["result.png"]


def test_while_a_result_is_written_there_is_none_under_its_name(files, names, monkeypatch):
    seen = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.extend(names()), sync(handle)))
    files.write_result(Held(), "png", b"mask")
    assert seen == ["result-w"]


def test_two_workers_of_one_job_have_files_of_their_own(files):
    paths: set[Path] = {
        files.scratch(Held(worker=worker), name)
        for worker in ("w1", "w2")
        for name in ("labels", "confidence", "result")
    }
    assert len(paths) == 6


def test_what_one_worker_leaves_the_other_ones_work_is_not(files, names):
    first, second = Held(worker="w"), Held(worker="v")
    for held in (first, second):
        for name in ("label_map", "confidence"):
            files.scratch(held, name).write_bytes(b"x")
    files.drop_scratch(first)
    assert names() == ["confidence-v", "label_map-v"]


def test_what_belongs_to_no_job_goes_after_an_hour(files, tmp_path):
    for part in ("incoming", "work"):
        for name in ("old", "known", "young"):
            path = tmp_path / part / name
            path.mkdir() if part == "work" else path.write_bytes(b"image")
            age_s = 3500 if name == "young" else 3700
            os.utime(path, (time.time() - age_s,) * 2)
    (tmp_path / "work" / "old" / "upload").write_bytes(b"image")
    os.utime(tmp_path / "work" / "old", (0, 0))
    files.remove_orphans(lambda name: name == "known")
    left = {
        part: {path.name for path in (tmp_path / part).iterdir()} for part in ("incoming", "work")
    }
    assert left == {"incoming": {"known", "young"}, "work": {"a", "known", "young"}}


def test_of_a_job_that_has_ended_its_result_alone_is_left(files, names, tmp_path):
    for name in ("upload", "label_map-other", "result-other", "result.png"):
        (tmp_path / "work" / "a" / name).write_bytes(b"x")
    files.drop_inputs("a")
    assert names() == ["result.png"]
