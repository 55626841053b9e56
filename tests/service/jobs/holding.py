"""A runner whose worker holds each job, under a clock that is set by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from maskzoo.service.errors import StoppedError
from maskzoo.service.jobs.life import Moment
from maskzoo.service.jobs.records import JobRecord, JobResult
from maskzoo.service.jobs.runner import Jobs
from maskzoo.service.settings import Settings
from tests.service.headers import at, image_info

INFO = image_info()
JOB = JobRecord("a", created=10.5, info=INFO)


class Worker:
    """Holds each job until `release` is set; a stopped one ends as a real one does."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.stopped: list[str] = []

    async def work(self, job, files, progress) -> JobResult:
        """Hold a job."""
        self.started.set()
        while not self.release.is_set():
            if progress.is_stopped:
                self.stopped.append(job.id)
                raise StoppedError("stopped")
            await asyncio.sleep(0.005)
        path = files.write_result(job, "png", b"mask")
        return JobResult(path.name, "image/png", 4, "cells", "1", {})

    def close(self) -> None:
        """Nothing to stop."""


class Clock:
    """A clock that is set by hand."""

    now = 1000.0
    jumped = 0.0

    def __call__(self) -> Moment:
        """Return the moment."""
        return at(self.now, jumped=self.jumped)


def jobs_of(tmp_path, **settings) -> tuple[Jobs, Worker, Clock]:
    known = {"state_folder": tmp_path, "job_free_bytes": 0, **settings}
    worker, clock = Worker(), Clock()
    return Jobs(Settings(**known), worker, clock=clock), worker, clock


async def accept(jobs: Jobs, job_id: str = "a") -> JobRecord:
    async with jobs.reserve(10) as place:
        place.upload.write_bytes(b"image")
        job = replace(JOB, id=job_id)
        await jobs.accept(job, place)
    return job


async def until(condition) -> None:
    async with asyncio.timeout(120):
        while not await condition():
            await asyncio.sleep(0.005)


async def state_of(jobs: Jobs, job_id: str = "a") -> str:
    return (await jobs.get(job_id, owner="")).state


def left_in(tmp_path) -> list[str]:
    return [
        path.name for part in ("incoming", "work") for path in (tmp_path / "jobs" / part).iterdir()
    ]
