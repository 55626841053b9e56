"""Disk space is allocated before it is used."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from maskzoo.service.errors import DiskFullError
from maskzoo.service.jobs.disk import allocate, is_disk_full


def test_an_allocated_file_is_not_sparse(tmp_path):
    path = tmp_path / "array"
    allocate(path, 3_000_001)
    assert path.read_bytes() == bytes(3_000_001)
    assert path.stat().st_blocks * 512 >= 3_000_001


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, None])
def test_a_file_system_that_cannot_allocate_gets_zeros(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    if number is None:
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse)
    path = tmp_path / "array"
    allocate(path, 2_500_000)
    assert path.read_bytes() == bytes(2_500_000)
    assert path.stat().st_blocks * 512 >= 2_500_000


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error_and_the_file_goes(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(DiskFullError):
        allocate(tmp_path / "array", 100)
    assert list(tmp_path.iterdir()) == []


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        allocate(tmp_path / "missing" / "array", 100)


def test_a_small_disk_has_room_for_one_array_and_says_so_for_the_second(small_disk):
    allocate(small_disk / "first", 4 << 20)
    with pytest.raises(DiskFullError):
        allocate(small_disk / "second", 4 << 20)
    assert [path.name for path in small_disk.iterdir()] == ["first"]


def test_the_same_holds_without_fallocate(small_disk, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    with pytest.raises(DiskFullError):
        allocate(small_disk / "array", 7 << 20)
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_is_known_from_sqlite_too(small_disk):
    connection = sqlite3.connect(small_disk / "jobs.sqlite", isolation_level=None)
    connection.execute("CREATE TABLE jobs (body)")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.execute("INSERT INTO jobs VALUES (zeroblob(7000000))")
    connection.close()
    assert is_disk_full(full.value)
    assert is_disk_full(OSError(errno.ENOSPC, "full"))
    assert not is_disk_full(sqlite3.OperationalError("database is locked"))
    assert not is_disk_full(OSError(errno.EIO, "broken"))
