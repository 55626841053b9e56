"""The record of a job, and the interface of its store.

    queued -> running -> done | failed | cancelled

A worker that takes a job holds a lease and renews it. A job whose lease ran out, because its
process was killed, goes to whoever asks next; it is done from its beginning.
Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from maskzoo.models.images.decode import ImageInfo
from maskzoo.service.schemas import SegmentOptions

JobState = Literal["queued", "running", "done", "failed", "cancelled"]

ACTIVE: tuple[JobState, ...] = ("queued", "running")
MAX_ATTEMPTS = 3
"""Processes that a job may take down before it is given up."""


@dataclass(frozen=True)
class JobResult:
    """The result of a job that is done, and what its download says of it.

    Args:
        file: its name in the folder of the job.
        num_bytes: its size.
        model, version: what made it.
        classes: the classes that occur, as the header `Maskzoo-Classes` has them.
        timings: as the header `Server-Timing` has them.
    """

    file: str
    media_type: str
    num_bytes: int
    model: str
    version: str
    classes: str
    timings: str


@dataclass(frozen=True)
class JobRecord:
    """One job.

    Args:
        info: the header of the image.
        owner: whose it is; nobody else sees it. Empty where the service knows no one.
        accept: the request's Accept header.
        file_name: the client's name of the image, for messages only.
        done, total: tiles; `total` is 0 until work has begun.
        attempts: workers that have taken it.
        worker, lease: who works on it, and until when that is believed.
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
    state: JobState = "queued"
    started: float | None = None
    finished: float | None = None
    done: int = 0
    total: int = 0
    attempts: int = 0
    worker: str = ""
    lease: float = 0.0
    error: Mapping[str, Any] | None = None
    result: JobResult | None = None

    @property
    def is_active(self) -> bool:
        """Whether there is work left."""
        return self.state in ACTIVE

    @property
    def progress(self) -> float:
        """How much of the work is done, 0 to 1."""
        if self.state == "done":
            return 1.0
        return self.done / self.total if self.total else 0.0


class JobStore(Protocol):
    """Where jobs are remembered. Methods are called from threads, by any number of processes."""

    def add(self, job: JobRecord) -> None:
        """Remember a job; when this returns, it outlives the process."""

    def get(self, job_id: str) -> JobRecord | None:
        """Return a job; None where there is none."""

    def claim(self, worker: str, *, now: float, lease_s: float) -> JobRecord | None:
        """Give the oldest job that waits, or whose lease ran out, to a worker."""

    def renew(self, job: JobRecord, *, done: int, total: int, lease: float) -> bool:
        """Record progress and prolong the lease; False when the job is no longer the worker's."""

    def finish(
        self,
        job: JobRecord,
        *,
        now: float,
        error: Mapping[str, Any] | None = None,
        result: JobResult | None = None,
    ) -> bool:
        """Record the end of a job; False when it is no longer the worker's."""

    def give_back(self, job: JobRecord) -> None:
        """Let a job wait again that its worker cannot end; the attempt does not count."""

    def cancel(self, job_id: str, *, now: float) -> bool:
        """End a job that has not ended; False when there is none."""

    def count_active(self) -> int:
        """Return the number of jobs that wait or are worked on."""

    def finished_before(self, time: float) -> list[str]:
        """Return the ids of jobs that ended before a time."""

    def remove(self, job_id: str) -> None:
        """Forget a job."""

    def close(self) -> None:
        """Let go of what the store holds."""
