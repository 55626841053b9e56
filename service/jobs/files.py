"""The files of jobs: one folder each, made when the job is accepted, removed when it expires.

    FOLDER/jobs.sqlite
    FOLDER/incoming/…          uploads that are still coming in
    FOLDER/traces/…            see `service.jobs.life`
    FOLDER/work/JOB/upload     the image, until the result is there
    FOLDER/work/JOB/label_map-WORKER, confidence-WORKER, result-WORKER     while the job runs
    FOLDER/work/JOB/result.SUFFIX

A worker that lost its job may continue for a moment beside the new one, so each has its own files.

Job ids are made by this server and looked up in the store before they become a path.
"""

from __future__ import annotations

import math
import mmap
import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskzoo.service.errors import DiskFullError
from maskzoo.service.jobs.disk import allocate, is_disk_full
from maskzoo.service.jobs.records import JobRecord

_ORPHAN_S = 3600


class JobFiles:
    """The files below one folder.

    Args:
        folder: created if missing.
        free_bytes: reserve on the disk.
    """

    def __init__(self, folder: Path, *, free_bytes: int) -> None:
        self._incoming = folder / "incoming"
        self._work = folder / "work"
        self._free_bytes = free_bytes
        for part in (self._incoming, self._work):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)

    def check_space(self, need: int) -> None:
        """Raise an error if the disk is nearly full.

        Raises:
            DiskFullError: less than the reserve would remain.
        """
        if shutil.disk_usage(self._work).free - need < self._free_bytes:
            raise DiskFullError()

    def new_upload(self) -> Path:
        """Return a unique path for an incoming upload."""
        return self._incoming / secrets.token_hex(16)

    def take_in(self, upload: Path, job_id: str) -> None:
        """Move a complete upload to its job, durably."""
        folder = self._work / job_id
        folder.mkdir(mode=0o700)
        with upload.open("rb") as file:
            os.fsync(file.fileno())
        upload.rename(folder / "upload")
        for changed in (folder, self._work):
            _sync_folder(changed)

    def upload(self, job_id: str) -> Path:
        """Return the path of a job's image."""
        return self._work / job_id / "upload"

    def scratch(self, job: JobRecord, name: str) -> Path:
        """Return a path for a temporary file of the job's worker."""
        return self._work / job.id / f"{name}-{job.worker}"

    def write_result(self, job: JobRecord, suffix: str, body: bytes) -> Path:
        """Write the result durably; return its path.

        It appears completely or not at all: a complete file is renamed to the result.

        Raises:
            DiskFullError: there is no room for it.
        """
        folder = self._work / job.id
        part = self.scratch(job, "result")
        try:
            with part.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            return part.rename(folder / f"result.{suffix}")
        except OSError as error:
            part.unlink(missing_ok=True)
            if is_disk_full(error):
                raise DiskFullError() from error
            raise

    def drop_scratch(self, job: JobRecord) -> None:
        """Remove the files of a job's worker."""
        for path in (self._work / job.id).glob(f"*-{job.worker}"):
            path.unlink(missing_ok=True)

    def drop_inputs(self, job_id: str) -> None:
        """Remove everything but the result of a job that has ended."""
        folder = self._work / job_id
        for path in folder.iterdir() if folder.is_dir() else ():
            if not path.name.startswith("result."):
                path.unlink(missing_ok=True)

    def result(self, job_id: str, name: str) -> Path:
        """Return the path of a result."""
        return self._work / job_id / name

    def remove(self, job_id: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self._work / job_id, ignore_errors=True)

    def remove_orphans(self, is_known: Callable[[str], bool]) -> None:
        """Remove files of no job: interrupted uploads, jobs that were never accepted.

        Args:
            is_known: whether a job or an upload of that name is there. Age alone does not tell: the
                clock may have been set forward.
        """
        oldest = time.time() - _ORPHAN_S
        for path in [*self._incoming.iterdir(), *self._work.iterdir()]:
            try:
                is_old = path.stat().st_mtime < oldest
            except FileNotFoundError:
                continue
            if not is_old or is_known(path.name):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class JobArrays:
    """Arrays of one job, mapped to files, so their pages need not stay in memory."""

    files: JobFiles
    job: JobRecord

    def array(self, name: str, shape: tuple[int, int], dtype: type) -> np.ndarray:
        """Return an array of zeros, whose disk space is allocated.

        Raises:
            DiskFullError: there is no room for it.
        """
        path = self.files.scratch(self.job, name)
        allocate(path, math.prod(shape) * np.dtype(dtype).itemsize)
        return np.memmap(path, dtype, "r+", shape=shape)

    def release(self, array: np.ndarray) -> None:
        """Drop an array from memory; its pages are read again on use."""
        mapped = getattr(array, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)  # a shared mapping of a file: nothing is lost


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
