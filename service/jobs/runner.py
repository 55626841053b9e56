"""The job runner of one process: accepts jobs, runs them, reports progress, expires results.

The store and the files hold all state, so a killed process loses nothing. An accepted, unfinished
job is taken over by the next process on the same folder, its successor or another one, as soon as
its lease has expired.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from maskzoo.service.errors import (
    JobNotFoundError,
    JobsOffError,
    OverloadedError,
    StoppedError,
)
from maskzoo.service.jobs.files import JobFiles
from maskzoo.service.jobs.progress import JobProgress
from maskzoo.service.jobs.records import JobRecord, JobResult, JobStore
from maskzoo.service.jobs.sqlite import SqliteJobStore
from maskzoo.service.problems import problem_of
from maskzoo.service.settings import Settings

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_STORE_FILE = "jobs.sqlite"
_POLL_S = 1.0  # how soon jobs of other processes are seen
_SWEEP_S = 60.0


class WorksOnJobs(Protocol):
    """The worker of jobs."""

    async def work(self, job: JobRecord, files: JobFiles, progress: JobProgress) -> JobResult:
        """Write the result of a job, and return its record."""
        ...

    def close(self) -> None:
        """Stop the threads."""


class Jobs:
    """The jobs below one folder, and this process's work on them.

    Args:
        settings: the folder, and the limits of jobs.
        worker: does the work.
        clock: seconds since 1970, the same for every process on the folder.
    """

    def __init__(
        self,
        settings: Settings,
        worker: WorksOnJobs,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._worker = worker
        self._clock = clock
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._store: JobStore | None = None
        self._files: JobFiles | None = None
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._working: dict[str, JobProgress] = {}
        self._seconds_per_job = 30.0
        self._is_stopping = False
        # The store has its own thread, so that a query never waits for work.
        self._store_thread = ThreadPoolExecutor(1, thread_name_prefix="job-store")

    @property
    def folder(self) -> Path:
        """Folder of the jobs."""
        return self.settings.job_folder

    async def start(self) -> None:
        """Take over the jobs of an earlier process; without any, nothing is created on disk."""
        if (self.folder / _STORE_FILE).exists():
            with suppress(JobsOffError):  # logged, and reported to clients that send a job
                await self._open()

    def stop(self) -> None:
        """Take no more jobs, and return running ones to the queue for the next process."""
        self._is_stopping = True
        for progress in self._working.values():
            progress.stop()
        if self._working:
            logger.info("event=jobs_given_back jobs=%s", ",".join(self._working))

    async def close(self) -> None:
        """Stop, wait until jobs are returned to the queue, and close the store."""
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._worker.close()
        if self._store is not None:
            await self._ask(self._store.close)
        self._store_thread.shutdown(wait=False)

    async def files(self) -> JobFiles:
        """Return the files, ready for an upload.

        Raises:
            JobsOffError: the folder cannot be used.
        """
        if self._files is None:
            await self._open()
        assert self._files is not None, "opening makes it"
        return self._files

    async def check_room(self) -> None:
        """Raise an error if too many jobs wait.

        Raises:
            OverloadedError: too many jobs wait; with an estimate of the time to retry.
            JobsOffError: the folder cannot be used.
            StoppedError: the service is stopping.
        """
        if self._is_stopping:
            raise StoppedError("the service is stopping; send the job again")
        store = await self._opened()
        active = await self._ask(store.count_active)
        if active >= self.settings.max_jobs:
            wait = self._seconds_per_job / self.settings.job_threads
            raise OverloadedError(max(1, min(3600, round(wait))))

    async def accept(self, job: JobRecord, upload: Path) -> None:
        """Accept a job; when this returns, it survives the process."""
        files, store = await self.files(), await self._opened()
        await self._ask(files.take_in, upload, job.id)
        await self._ask(store.add, job)
        self._arrived.set()
        logger.info("event=job_accepted job=%s request_id=%s", job.id, job.request_id)

    async def get(self, job_id: str, *, owner: str) -> JobRecord:
        """Return a job if `owner` may see it.

        Raises:
            JobNotFoundError: there is none.
        """
        if self._store is None and not (self.folder / _STORE_FILE).exists():
            raise JobNotFoundError(job_id)
        store = await self._opened()
        job = await self._ask(store.get, job_id)
        if job is None or job.owner != owner:
            raise JobNotFoundError(job_id)
        return job

    async def watch(self, job_id: str, *, owner: str, every_s: float) -> AsyncIterator[JobRecord]:
        """Yield a job on each change, until it has ended.

        Raises:
            JobNotFoundError: there is none, or none any more.
        """
        before = None
        while True:
            job = await self.get(job_id, owner=owner)
            if job != before:
                yield job
            if not job.is_active:
                return
            before = job
            await asyncio.sleep(every_s)

    async def cancel(self, job: JobRecord) -> None:
        """Cancel a job that has not ended, or delete one that has; remove its files."""
        files, store = await self.files(), await self._opened()
        if await self._ask(store.cancel, job.id, now=self._clock()):
            logger.info("event=job_cancelled job=%s", job.id)
            if job.id in self._working:
                self._working[job.id].stop()
        else:
            await self._ask(store.remove, job.id)
        await self._ask(files.remove, job.id)

    async def sweep(self) -> None:
        """Delete expired jobs, and files that belong to none."""
        files, store = await self.files(), await self._opened()
        limit = self._clock() - self.settings.job_keep_s
        for job_id in await self._ask(store.finished_before, limit):
            await self._ask(files.remove, job_id)
            await self._ask(store.remove, job_id)
            logger.info("event=job_expired job=%s", job_id)
        await self._ask(files.remove_orphans, lambda name: store.get(name) is not None)

    async def _opened(self) -> JobStore:
        if self._store is None:
            await self._open()
        assert self._store is not None, "opening makes it"
        return self._store

    async def _open(self) -> None:
        try:
            files, store = await self._ask(self._open_folder)
        except (OSError, sqlite3.Error) as error:
            logger.error("event=jobs_off folder=%s error=%r", self.folder, error)
            raise JobsOffError() from error
        if self._store is not None:  # another request was faster
            await self._ask(store.close)
            return
        self._files, self._store = files, store
        self._tasks = [
            *(asyncio.create_task(self._work()) for _ in range(self.settings.job_threads)),
            asyncio.create_task(self._sweep_now_and_then()),
        ]

    def _open_folder(self) -> tuple[JobFiles, JobStore]:
        files = JobFiles(self.folder, free_bytes=self.settings.job_free_bytes)
        return files, SqliteJobStore(self.folder / _STORE_FILE)

    async def _sweep_now_and_then(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:  # the next one may do better
                logger.exception("event=job_sweep_failed")
            await asyncio.sleep(_SWEEP_S)

    async def _work(self) -> None:
        store = await self._opened()
        while not self._is_stopping:
            try:
                self._arrived.clear()
                lease_s = self.settings.job_lease_s
                job = await self._ask(store.claim, self._name, now=self._clock(), lease_s=lease_s)
                if job is not None:
                    await self._do(job)
                    continue
            except Exception:  # the store is unavailable: jobs wait until it is back
                logger.exception("event=job_store_failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), _POLL_S)

    async def _do(self, job: JobRecord) -> None:
        """Work on one job to its end, renewing its lease meanwhile."""
        store, begun = await self._opened(), time.perf_counter()
        progress = self._working[job.id] = JobProgress()
        keeping = asyncio.create_task(self._keep(job, progress))
        result: JobResult | None = None
        error: dict[str, Any] | None = None
        try:
            result = await self._worker.work(job, await self.files(), progress)
        except (StoppedError, asyncio.CancelledError) as stop:
            await asyncio.shield(self._ask(store.give_back, job))  # unless it was cancelled
            if isinstance(stop, asyncio.CancelledError):
                raise
            return
        except Exception as failure:
            problem = problem_of(failure)
            level = logging.ERROR if problem.kind.status >= 500 else logging.INFO
            logger.log(level, "event=job_failed job=%s", job.id, exc_info=failure)
            error = problem.document(path=f"/jobs/{job.id}", request_id=job.request_id)
        finally:
            keeping.cancel()
            del self._working[job.id]
        if await self._ask(store.finish, job, now=self._clock(), error=error, result=result):
            await self._ask((await self.files()).drop_inputs, job.id)
            elapsed = time.perf_counter() - begun
            self._seconds_per_job += 0.3 * (elapsed - self._seconds_per_job)
            logger.info("event=job_ended job=%s ok=%s s=%.1f", job.id, error is None, elapsed)

    async def _keep(self, job: JobRecord, progress: JobProgress) -> None:
        """Renew the lease; stop the work if the job was cancelled or lost to another worker."""
        store, lease_s = await self._opened(), self.settings.job_lease_s
        while not progress.is_stopped:
            await asyncio.sleep(min(1.0, lease_s / 5))
            now = self._clock()
            held = await self._ask(
                store.renew, job, done=progress.done, total=progress.total, lease=now + lease_s
            )
            if not held:
                progress.stop()

    async def _ask(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the store or the files in their thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._store_thread, lambda: work(*args, **kwargs))
