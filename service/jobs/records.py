"""The record of a job, and the interface of its store.

    queued -> running -> done | failed | cancelled

A worker that takes a job holds a lease and renews it. A job whose lease has expired, because its
process was killed or the machine has started again, goes to the next worker and starts from its
beginning. Times are seconds since 1970, but for leases; see `service.jobs.life`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from maskzoo.models.images.decode import ImageInfo
from maskzoo.service.jobs.life import Moment
from maskzoo.service.schemas import SegmentOptions

JobState = Literal["queued", "running", "done", "failed", "cancelled"]

ACTIVE: tuple[JobState, ...] = ("queued", "running")
MAX_ATTEMPTS = 3
"""Processes that may fail while they work on a job before it is given up."""

MAX_KILLS = 30
"""Processes that may be killed from outside while they work on a job."""


@dataclass(frozen=True)
class JobResult:
    """The result of a finished job.

    Args:
        file: its name in the folder of the job.
        num_bytes: its size.
        model, version: that made it.
        headers: what `Answer.headers` says.
    """

    file: str
    media_type: str
    num_bytes: int
    model: str
    version: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class JobRecord:
    """One job.

    Args:
        info: the header of the image.
        owner: the client that may see it; empty if the service has no API keys.
        accept: the request's Accept header.
        file_name: the client's name of the image, for messages only.
        trace: the span of the request that sent it, as `service.observability.tracing` carries it.
        done, total: tiles; `total` is 0 until work has started.
        attempts: workers that have taken it, without those below.
        kills: workers that were killed from outside while they held it.
        worker, boot, lease: the worker that holds it, and the end of its lease: the start of the
            machine, and seconds since then.
        error: the problem document of a failed job.
        result: of a done job.
    """

    id: str
    created: float
    info: ImageInfo
    owner: str = ""
    options: SegmentOptions = field(default_factory=SegmentOptions)
    accept: str | None = None
    file_name: str = "image"
    request_id: str = ""
    trace: Mapping[str, str] = field(default_factory=dict)
    state: JobState = "queued"
    started: float | None = None
    finished: float | None = None
    done: int = 0
    total: int = 0
    attempts: int = 0
    kills: int = 0
    worker: str = ""
    boot: str = ""
    lease: float = 0.0
    error: Mapping[str, Any] | None = None
    result: JobResult | None = None

    @property
    def is_active(self) -> bool:
        """Whether there is work left."""
        return self.state in ACTIVE

    @property
    def progress(self) -> float:
        """Fraction of the work that is done, 0 to 1."""
        if self.state == "done":
            return 1.0
        return self.done / self.total if self.total else 0.0


class JobStore(Protocol):
    """Storage of job records. Methods are called from threads, in any number of processes."""

    def add(self, job: JobRecord, *, max_active: int | None = None) -> bool:
        """Store a job; when this returns, it survives the process.

        Args:
            max_active: jobs that may wait or run, with this one; False if there are as many.
        """

    def get(self, job_id: str) -> JobRecord | None:
        """Return a job; None if it does not exist."""

    def claim(
        self,
        worker: str,
        *,
        now: Moment,
        lease_s: float,
        tell_fault: Callable[[str], bool] = lambda worker: True,
        held: Collection[str] = (),
    ) -> JobRecord | None:
        """Give a worker the job that waits longest; those whose lease has expired wait again.

        Args:
            tell_fault: tells whether a worker that lost its lease may have died by its job.
            held: jobs that the worker works on. They stay its own though it was too late to renew
                their lease: it lives, and a second work would write into the first one's files.
        """

    def renew(self, job: JobRecord, *, done: int, total: int, lease: float) -> bool:
        """Record progress and renew the lease; False if the job is no longer the worker's."""

    def finish(
        self,
        job: JobRecord,
        *,
        now: Moment,
        error: Mapping[str, Any] | None = None,
        result: JobResult | None = None,
    ) -> bool:
        """Record the end of a job; False if it is no longer the worker's."""

    def give_back(self, job: JobRecord) -> None:
        """Return an unfinished job to the queue; the attempt does not count."""

    def cancel(self, job_id: str, *, now: Moment) -> bool:
        """Cancel a job that has not ended; False if there is none."""

    def count_active(self) -> int:
        """Return the number of jobs that wait or run."""

    def active(self) -> list[JobRecord]:
        """Return the jobs that wait or run."""

    def finished_before(self, time: float) -> list[str]:
        """Return the ids of jobs that ended before a time."""

    def remove(self, job_id: str) -> None:
        """Delete a job."""

    def close(self) -> None:
        """Release the store's resources."""
