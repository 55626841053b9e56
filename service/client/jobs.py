"""Jobs as a client sees them: their documents, and the upload of an image as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from maskzoo.service.client.messages import ServiceError, build_params

_CHUNK_BYTES = 1 << 20
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 2.0
_REFUSED = (429, 503)


@dataclass(frozen=True)
class ServiceJob:
    """One job, as the service described it last.

    Args:
        document: as `/docs` describes it.
    """

    document: dict[str, Any]

    @property
    def id(self) -> str:
        """Its id, which every process may ask for."""
        return str(self.document["id"])

    @property
    def state(self) -> str:
        """One of `queued`, `running`, `done`, `failed` and `cancelled`."""
        return str(self.document["state"])

    @property
    def progress(self) -> float:
        """Fraction of the work that is done, 0 to 1."""
        return float(self.document["progress"])

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state not in ("queued", "running")

    def check_done(self) -> None:
        """Raise unless it is done.

        Raises:
            ServiceError: it failed or was cancelled; with the problem document of a failed job.
        """
        if self.state == "failed":
            problem = self.document.get("error") or {}
            reason = problem.get("detail", "no reason was given")
            status = int(problem.get("status", 0))
            raise ServiceError(f"job {self.id} failed: {reason}", status, problem)
        if self.state != "done":
            raise ServiceError(f"job {self.id} is {self.state} and has no result")


def path_of(job: ServiceJob | str, part: str = "") -> str:
    """Return the path of a job, given by itself or by its id, or of a part of it."""
    return f"/jobs/{job.id if isinstance(job, ServiceJob) else job}{part}"


def waits_s() -> Iterator[float]:
    """Yield the seconds between two questions for the state of a job."""
    wait_s = _FIRST_WAIT_S
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def was_refused(answer: httpx.Response | None, error: Exception | None) -> bool:
    """Tell whether an upload was surely not taken, so that sending it again makes no second job."""
    if answer is not None:
        return answer.status_code in _REFUSED
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def build_upload(
    http: httpx.Client | httpx.AsyncClient, image: Path | str | bytes, options: Mapping[str, Any]
) -> httpx.Request:
    """Build the request of a new job; a file is read as it is sent.

    Raises:
        OSError: there is no such file.
    """
    headers = {"Content-Type": "application/octet-stream"}
    content: bytes | Iterator[bytes] | AsyncIterator[bytes]
    if isinstance(image, bytes):
        content = image
    else:
        path = Path(image)
        headers["Content-Length"] = str(path.stat().st_size)
        content = _chunks(path) if isinstance(http, httpx.Client) else _chunks_async(path)
    params = build_params(options)
    return http.build_request("POST", "/jobs", params=params, content=content, headers=headers)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


async def _chunks_async(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
