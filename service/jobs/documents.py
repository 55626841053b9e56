"""JSON documents of jobs, for clients."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from maskzoo.service.jobs.records import JobRecord


class JobDocument(BaseModel):
    """The answer to `POST /jobs` and `GET /jobs/{id}`, and the data of an event."""

    id: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(description="0 to 1.")
    tiles_done: int
    tiles: int = Field(description="0 until work has started.")
    width: int
    height: int
    options: dict[str, Any]
    created: datetime | None
    started: datetime | None
    finished: datetime | None
    expires: datetime | None = Field(description="When an ended job is forgotten.")
    events: str = Field(description="Server-sent events on each change.")
    result: str | None = Field(description="Where the result is, once the job is done.")
    result_bytes: int | None
    error: dict[str, Any] | None = Field(description="The problem document of a failed job.")


def describe_job(job: JobRecord, *, keep_s: float) -> JobDocument:
    """Return the document of a job."""
    place = f"/jobs/{job.id}"
    is_done = job.state == "done" and job.result is not None
    return JobDocument(
        id=job.id,
        state=job.state,
        progress=round(job.progress, 4),
        tiles_done=job.done,
        tiles=job.total,
        width=job.info.width,
        height=job.info.height,
        options=job.options.model_dump(exclude_unset=True),
        created=_time(job.created),
        started=_time(job.started),
        finished=_time(job.finished),
        expires=_time(None if job.finished is None else job.finished + keep_s),
        events=f"{place}/events",
        result=f"{place}/result" if is_done else None,
        result_bytes=job.result.num_bytes if is_done and job.result else None,
        error=None if job.error is None else dict(job.error),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
