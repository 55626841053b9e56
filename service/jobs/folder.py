"""The folder of jobs: opened on use, and again after it was away.

The folder may vanish, fill up, become read-only or be damaged while the server runs. Every such
fault is an error with a status of its own, and the next use opens the folder again. One line is
logged for a fault, and one when it is over.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from maskzoo.service.errors import DiskFullError, JobsOffError, RequestError
from maskzoo.service.jobs.disk import allocate, is_disk_full
from maskzoo.service.jobs.files import JobFiles
from maskzoo.service.jobs.records import JobStore
from maskzoo.service.jobs.sqlite import SqliteJobStore

logger = logging.getLogger(__name__)

T = TypeVar("T")

FAULTS = (OSError, sqlite3.Error)
_STORE_FILE = "jobs.sqlite"
_BALLAST_FILE = "ballast"
_BALLAST_BYTES = 1 << 20
_NO_ROOM_BYTES = 1 << 16  # less is too little even for the index of the store


class NoJobsError(JobsOffError):
    """No job was ever accepted below the folder."""


@dataclass(frozen=True)
class _Opened:
    store: JobStore
    files: JobFiles
    identity: tuple[int, int]


class JobFolder:
    """The store and the files below one folder; used by one thread.

    A file of 1 MiB, the ballast, is removed if the disk is full, so that the end of a job can be
    recorded. New jobs do not get its space.

    Args:
        path: created with the first job.
        free_bytes: reserve on the disk.
    """

    def __init__(self, path: Path, *, free_bytes: int) -> None:
        self.path = path
        self._free_bytes = free_bytes
        self._opened: _Opened | None = None
        self._fault = ""

    def run(self, work: Callable[[JobStore, JobFiles], T], *, is_new: bool = False) -> T:
        """Return the result of `work` on the store and the files.

        Args:
            work: changes nothing if it fails.
            is_new: whether it is for a new job: the folder is created if missing, and the ballast
                is kept.

        Raises:
            NoJobsError: the folder has no store.
            DiskFullError: the disk is full.
            JobsOffError: the folder cannot be used.
        """
        try:
            found = self._run(work, is_new)
        except FAULTS as error:
            if not is_new and self._is_full(error) and self._drop_ballast():
                return self.run(work)
            raise self.refusal(error) from error
        if self._fault:
            logger.info("event=jobs_back folder=%s", self.path)
            self._fault = ""
        return found

    def refusal(self, error: Exception) -> RequestError:
        """Return the error for clients after a fault, and log a new fault."""
        if repr(error) != self._fault:
            self._fault = repr(error)
            logger.error("event=jobs_off folder=%s error=%s", self.path, self._fault)
        if self._is_full(error):
            return DiskFullError()
        self.close()
        return JobsOffError()

    def keep_ballast(self) -> None:
        """Allocate the ballast again if there is room for it."""
        path = self.path / _BALLAST_FILE
        if not path.exists() and self._free() - _BALLAST_BYTES > max(self._free_bytes, 1 << 20):
            with suppress(DiskFullError, OSError):
                allocate(path, _BALLAST_BYTES)

    def close(self) -> None:
        """Close the store; the next use opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.store.close()

    def _run(self, work: Callable[[JobStore, JobFiles], T], is_new: bool) -> T:
        identity = self._identity()
        if self._opened is not None and self._opened.identity != identity:
            self.close()  # the file was removed or replaced
        if self._opened is None:
            if identity is None and not is_new:
                raise NoJobsError()
            self._opened = self._open()
        return work(self._opened.store, self._opened.files)

    def _open(self) -> _Opened:
        files = JobFiles(self.path, free_bytes=self._free_bytes)
        store = SqliteJobStore(self.path / _STORE_FILE)
        identity = self._identity()
        assert identity is not None, "opening creates it"
        self._opened = _Opened(store, files, identity)
        self.keep_ballast()
        return self._opened

    def _identity(self) -> tuple[int, int] | None:
        """Return what tells the store's file from another one under its name."""
        try:
            status = (self.path / _STORE_FILE).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_dev, status.st_ino

    def _is_full(self, error: Exception) -> bool:
        return is_disk_full(error) or (self.path.is_dir() and self._free() < _NO_ROOM_BYTES)

    def _free(self) -> int:
        return shutil.disk_usage(self.path).free

    def _drop_ballast(self) -> bool:
        try:
            (self.path / _BALLAST_FILE).unlink()
        except OSError:
            return False
        return True
