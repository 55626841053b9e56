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
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from maskzoo.models.images.decode import ImageInfo
from maskzoo.service.errors import (
    DiskFullError,
    JobNotFoundError,
    JobsOffError,
    OverloadedError,
    StoppedError,
)
from maskzoo.service.jobs.files import JobFiles
from maskzoo.service.jobs.folder import JobFolder, NoJobsError
from maskzoo.service.jobs.life import Moment, OnFault, Traces, read_clocks
from maskzoo.service.jobs.progress import JobProgress
from maskzoo.service.jobs.records import JobRecord, JobResult, JobStore
from maskzoo.service.jobs.room import JobRoom, Place
from maskzoo.service.observability.tracing import continue_trace
from maskzoo.service.problems import problem_of
from maskzoo.service.settings import Settings

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

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
        clock: the present moment.
        on_fault: see `service.jobs.life`.
    """

    def __init__(
        self,
        settings: Settings,
        worker: WorksOnJobs,
        *,
        clock: Callable[[], Moment] = read_clocks,
        on_fault: OnFault | None = None,
    ) -> None:
        self.settings = settings
        self._worker = worker
        self._clock = clock
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._folder = JobFolder(settings.job_folder, free_bytes=settings.job_free_bytes)
        self._traces = Traces(settings.job_folder, self._name, on_fault=on_fault)
        self._room = JobRoom(settings.max_jobs)
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._working: dict[str, JobProgress] = {}
        self._held: set[str] = set()  # from the claim of a job until its end is recorded
        self._seconds_per_job = 30.0
        self._is_stopping = False
        # The store has its own thread, so that a query never waits for work.
        self._store_thread = ThreadPoolExecutor(1, thread_name_prefix="job-store")

    async def start(self) -> None:
        """Take over the jobs of an earlier process; without any, nothing is created on disk."""
        with suppress(JobsOffError, DiskFullError):  # logged
            await self._ask(lambda store, files: None)
        self._start_tasks()

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
        await self._in_thread(self._folder.close)
        await self._in_thread(self._traces.end)
        self._store_thread.shutdown(wait=False)

    @asynccontextmanager
    async def reserve(self, num_bytes: int) -> AsyncIterator[Place]:
        """Reserve the room for a new job while its upload is read; nothing else is left behind.

        Args:
            num_bytes: upper bound of the upload.

        Raises:
            OverloadedError: too many jobs wait; with an estimate of the time to retry.
            DiskFullError: the disk is full.
            JobsOffError: the folder cannot be used.
            StoppedError: the service is stopping.
        """
        if self._is_stopping:
            raise StoppedError("the service is stopping; send the job again")
        wait = round(self._seconds_per_job / self.settings.job_threads)
        place = Place(num_bytes)
        take = partial(self._room.take, place=place, retry_after_s=max(1, min(3600, wait)))
        try:
            await self._ask(take, is_new=True)
            yield place
        except OSError as error:
            if error.errno is None or isinstance(error, ConnectionError | TimeoutError):
                raise  # not of the disk
            raise await self._in_thread(self._folder.refusal, error) from error
        finally:
            await asyncio.shield(self._in_thread(self._room.give_back, place))

    async def grow(self, place: Place, info: ImageInfo) -> None:
        """Reserve the disk space for the work on an upload.

        Raises:
            DiskFullError: the disk is full.
        """
        await self._ask(partial(self._room.grow, place=place, info=info), is_new=True)

    async def accept(self, job: JobRecord, place: Place) -> None:
        """Accept a job; when this returns, it survives the process.

        Raises:
            OverloadedError: another process on the folder took the last place.
        """

        def accept(store: JobStore, files: JobFiles) -> None:
            try:
                files.take_in(place.upload, job.id)
                if not store.add(job, max_active=self.settings.max_jobs):
                    raise OverloadedError(max(1, min(3600, round(self._seconds_per_job))))
            except BaseException:
                files.remove(job.id)
                raise
            self._room.give_back(place)

        await self._ask(accept, is_new=True)
        self._arrived.set()
        logger.info("event=job_accepted job=%s request_id=%s", job.id, job.request_id)

    async def get(self, job_id: str, *, owner: str) -> JobRecord:
        """Return a job if `owner` may see it.

        Raises:
            JobNotFoundError: there is none.
        """
        try:
            job = await self._ask(lambda store, _: store.get(job_id))
        except NoJobsError:
            raise JobNotFoundError(job_id) from None
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

    async def result_path(self, job: JobRecord, name: str) -> Path:
        """Return the path of a result."""
        return await self._ask(lambda _, files: files.result(job.id, name))

    async def cancel(self, job: JobRecord) -> None:
        """Cancel a job that has not ended, or delete one that has; remove its files."""

        def cancel(store: JobStore, files: JobFiles) -> bool:
            was_active = store.cancel(job.id, now=self._clock())
            if not was_active:
                store.remove(job.id)
            files.remove(job.id)
            return was_active

        if await self._ask(cancel):
            logger.info("event=job_cancelled job=%s", job.id)
            if job.id in self._working:
                self._working[job.id].stop()

    async def sweep(self) -> None:
        """Delete expired jobs, and files that belong to none."""

        def sweep(store: JobStore, files: JobFiles) -> None:
            oldest = self._clock().time - self.settings.job_keep_s
            for job_id in store.finished_before(oldest):
                files.remove(job_id)
                store.remove(job_id)
                logger.info("event=job_expired job=%s", job_id)
            files.remove_orphans(lambda name: self._room.holds(name) or store.get(name) is not None)
            self._traces.forget({job.worker for job in store.active()})
            self._folder.keep_ballast()

        await self._ask(sweep)

    def _start_tasks(self) -> None:
        self._tasks = [
            *(asyncio.create_task(self._work()) for _ in range(self.settings.job_threads)),
            asyncio.create_task(self._sweep_now_and_then()),
        ]

    async def _sweep_now_and_then(self) -> None:
        while True:
            try:
                await self.sweep()
            except (JobsOffError, DiskFullError):
                pass  # logged by the folder
            except Exception:  # the next one may do better
                logger.exception("event=job_sweep_failed")
            await asyncio.sleep(_SWEEP_S)

    async def _work(self) -> None:
        while not self._is_stopping:
            try:
                self._arrived.clear()
                job, files = await self._ask(self._claim)
                if job is not None:
                    try:
                        await self._do(job, files)
                    finally:
                        self._held.discard(job.id)
                    continue
            except (JobsOffError, DiskFullError):
                pass  # logged by the folder; jobs wait until it is back
            except Exception:  # the store is unavailable: jobs wait until it is back
                logger.exception("event=job_store_failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), _POLL_S)

    def _claim(self, store: JobStore, files: JobFiles) -> tuple[JobRecord | None, JobFiles]:
        self._traces.begin()
        job = store.claim(
            self._name,
            now=self._clock(),
            lease_s=self.settings.job_lease_s,
            tell_fault=self._traces.tell_fault,
            held=self._held,
        )
        if job is not None:
            self._held.add(job.id)
        return job, files

    async def _do(self, job: JobRecord, files: JobFiles) -> None:
        """Work on one job to its end, renewing its lease meanwhile."""
        begun = time.perf_counter()
        progress = self._working[job.id] = JobProgress()
        keeping = asyncio.create_task(self._keep(job, progress))
        result: JobResult | None = None
        failure: Exception | None = None
        try:
            facts: dict[str, str | int] = {
                "maskzoo.job": job.id,
                "maskzoo.attempt": job.attempts + job.kills,
            }
            with continue_trace(job.trace, "job", facts, kind="CONSUMER"):
                result = await self._worker.work(job, files, progress)
        except (StoppedError, asyncio.CancelledError) as stop:
            await asyncio.shield(
                self._ask(lambda store, _: store.give_back(job))
            )  # unless it was cancelled
            if isinstance(stop, asyncio.CancelledError):
                raise
            return
        except Exception as error:
            failure = error
        finally:
            keeping.cancel()
            del self._working[job.id]

        problem = None if failure is None else problem_of(failure)
        document: dict[str, Any] | None = None
        if problem is not None:
            document = problem.document(path=f"/jobs/{job.id}", request_id=job.request_id)

        def finish(store: JobStore, files: JobFiles) -> bool:
            files.drop_scratch(job)  # first: on a full disk it makes room for the record
            has_ended = store.finish(job, now=self._clock(), error=document, result=result)
            if has_ended:
                files.drop_inputs(job.id)
            return has_ended

        if await self._ask(finish):  # else its files went while it worked: it was cancelled
            if problem is not None:
                level = logging.ERROR if problem.kind.status >= 500 else logging.INFO
                logger.log(level, "event=job_failed job=%s", job.id, exc_info=failure)
            elapsed = time.perf_counter() - begun
            self._seconds_per_job += 0.3 * (elapsed - self._seconds_per_job)
            logger.info("event=job_ended job=%s ok=%s s=%.1f", job.id, problem is None, elapsed)

    async def _keep(self, job: JobRecord, progress: JobProgress) -> None:
        """Renew the lease; stop the work if the job was cancelled or lost to another worker."""
        lease_s = self.settings.job_lease_s

        def renew(store: JobStore, _: JobFiles) -> bool:
            lease = self._clock().uptime + lease_s
            return store.renew(job, done=progress.done, total=progress.total, lease=lease)

        while not progress.is_stopped:
            await asyncio.sleep(min(1.0, lease_s / 5))
            try:
                is_held = await self._ask(renew)
            except NoJobsError:
                is_held = False
            except (JobsOffError, DiskFullError):
                continue  # the folder may come back before another worker takes the job
            if not is_held:
                progress.stop()

    async def _ask(self, work: Callable[[JobStore, JobFiles], T], *, is_new: bool = False) -> T:
        """Run a function of the store and the files in their thread; see `JobFolder.run`."""
        return await self._in_thread(partial(self._folder.run, work, is_new=is_new))

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._store_thread, lambda: work(*args, **kwargs))
