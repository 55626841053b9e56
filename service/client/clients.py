"""A client for the service, without torch: `from maskzoo import Client`.

    with Client("http://127.0.0.1:8000") as client:
        answer = client.segment("photo.jpg", model="nuclei")
        print(answer.fractions(), answer.label_map.shape)

An image that is too large for one request is a job:

        job = client.submit("scene.tif", model="roofs", format="tiff")
        client.wait(job, on_progress=lambda job: print(job.progress))
        client.save_result(job, "mask.tif")

`AsyncClient` is the same with `await`. If the server is full or the connection breaks, a request is
sent again: after the time in Retry-After, else after increasing delays. That is safe, since
segmenting changes nothing on the server. A job is sent again only where it surely was not taken.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from maskzoo.models.files import replacing
from maskzoo.service.client.jobs import (
    ServiceJob,
    build_upload,
    path_of,
    waits_s,
    was_refused,
)
from maskzoo.service.client.messages import (
    ServiceAnswer,
    build_headers,
    build_request,
    describe_refusal,
)
from maskzoo.service.client.retries import RetryPolicy

DEFAULT_URL = "http://127.0.0.1:8000"

OnProgress = Callable[[ServiceJob], object]
MayRepeat = Callable[[httpx.Response | None, Exception | None], bool]


class Client:
    """Talks to one service.

    Args:
        url: of the service.
        key: an API key, if the service requires one.
        timeout_s: for one attempt.
        policy: of retries.
        transport, sleep: for tests.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        timeout_s: float = 120,
        policy: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=url, headers=build_headers(key), timeout=timeout_s, transport=transport
        )

    def segment(
        self, image: Path | str | bytes, *, model: str | None = None, **options: Any
    ) -> ServiceAnswer:
        """Segment one image file, given by its path or as its bytes.

        Args:
            model: None takes the server's default.
            options: further ones of `POST /segment`.

        Raises:
            ServiceError: the service refused it, or could not be reached.
        """
        asked = {"masks": "png", **options, "model": model, "format": "json"}
        return ServiceAnswer(self._send("POST", "/segment", image, asked).json())

    def fetch(self, image: Path | str | bytes, **options: Any) -> bytes:
        """Return the body of the answer: `format="geojson"`, `variant="overlay"` …

        Raises:
            ServiceError: the service refused it, or could not be reached.
        """
        return self._send("POST", "/segment", image, options).content

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the service."""
        return list(self._send("GET", "/models").json()["models"])

    def describe(self, model: str | None = None) -> dict[str, Any]:
        """Return one model of the service, by default its default model."""
        name = model or self._send("GET", "/models").json()["default"]
        return dict(self._send("GET", f"/models/{quote(str(name), safe='@')}").json())

    def submit(
        self, image: Path | str | bytes, *, model: str | None = None, **options: Any
    ) -> ServiceJob:
        """Send an image as a job; return as soon as the service has stored it.

        Args:
            image: a file, given by its path (it is read while it is sent) or as its bytes.
            model: None takes the server's default.
            options: further ones of `POST /jobs`, which are those of `POST /segment`.

        Raises:
            ServiceError: the service refused it, or could not be reached. Where the connection
                broke on the way, the service may have taken it nevertheless.
        """
        asked = {**options, "model": model}
        answer = self._attempt(lambda: build_upload(self._http, image, asked), repeat=was_refused)
        return ServiceJob(answer.json())

    def job(self, job: ServiceJob | str) -> ServiceJob:
        """Return a job as it is now, by itself or by its id."""
        return ServiceJob(self._send("GET", path_of(job)).json())

    def wait(
        self,
        job: ServiceJob | str,
        *,
        on_progress: OnProgress = lambda job: None,
        timeout_s: float = math.inf,
    ) -> ServiceJob:
        """Wait until a job is done.

        Args:
            on_progress: called with the job each time that its state was asked for.
            timeout_s: the job goes on after it.

        Raises:
            ServiceError: the job failed, was cancelled or is not there.
            TimeoutError: it has not ended in time.
        """
        end = time.monotonic() + timeout_s
        for wait_s in waits_s():
            found = self.job(job)
            on_progress(found)
            if found.is_over:
                found.check_done()
                break
            if time.monotonic() >= end:
                raise TimeoutError(_late(found, timeout_s))
            self._sleep(wait_s)
        return found

    def result(self, job: ServiceJob | str) -> bytes:
        """Return the result of a job that is done, in the format that it was sent with.

        Raises:
            ServiceError: it has none (yet).
        """
        return self._send("GET", path_of(job, "/result")).content

    def save_result(self, job: ServiceJob | str, target: Path | str) -> Path:
        """Write the result of a job to a file as it comes in; a broken download leaves nothing.

        Raises:
            ServiceError: it has none (yet).
        """
        with replacing(Path(target)) as part:

            def write(answer: httpx.Response) -> None:
                with part.open("wb") as file:
                    for chunk in answer.iter_bytes():
                        file.write(chunk)

            path = path_of(job, "/result")
            self._attempt(lambda: self._http.build_request("GET", path), receive=write)
        return Path(target)

    def cancel(self, job: ServiceJob | str) -> None:
        """Cancel a job, or forget one that has ended."""
        self._send("DELETE", path_of(job))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        """Use as a context."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def _send(
        self,
        method: str,
        path: str,
        image: Path | str | bytes | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        request = build_request(self._http, method, path, image, options)
        return self._attempt(lambda: request)

    def _attempt(
        self,
        build: Callable[[], httpx.Request],
        *,
        receive: Callable[[httpx.Response], object] = httpx.Response.read,
        repeat: MayRepeat = lambda answer, error: True,
    ) -> httpx.Response:
        """Send a request until it is answered by a success, as often as the policy says.

        Args:
            build: makes it anew for each attempt.
            receive: reads the body of a success.
            repeat: whether it may be sent again after an answer, or an error without one.
        """
        for attempt in range(self._policy.retries + 1):
            request, answer, error = build(), None, None
            try:
                answer = self._http.send(request, stream=True)
                with closing(answer):
                    (receive if answer.is_success else httpx.Response.read)(answer)
            except httpx.TransportError as caught:
                answer, error = None, caught
            if answer is not None and answer.is_success:
                return answer
            wait_s = self._policy.wait_s(attempt, answer)
            if wait_s is None or not repeat(answer, error):
                break
            self._sleep(wait_s)
        raise describe_refusal(request, answer, error)


class AsyncClient:
    """The same for `async` programs; see `Client`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: str | None = None,
        timeout_s: float = 120,
        policy: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            base_url=url, headers=build_headers(key), timeout=timeout_s, transport=transport
        )

    async def segment(
        self, image: Path | str | bytes, *, model: str | None = None, **options: Any
    ) -> ServiceAnswer:
        """Segment one image file; see `Client.segment`."""
        asked = {"masks": "png", **options, "model": model, "format": "json"}
        return ServiceAnswer((await self._send("POST", "/segment", image, asked)).json())

    async def fetch(self, image: Path | str | bytes, **options: Any) -> bytes:
        """Return the body of the answer; see `Client.fetch`."""
        return (await self._send("POST", "/segment", image, options)).content

    async def models(self) -> list[dict[str, Any]]:
        """Return the models of the service."""
        return list((await self._send("GET", "/models")).json()["models"])

    async def submit(
        self, image: Path | str | bytes, *, model: str | None = None, **options: Any
    ) -> ServiceJob:
        """Send an image as a job; see `Client.submit`."""
        asked = {**options, "model": model}
        answer = await self._attempt(
            lambda: build_upload(self._http, image, asked), repeat=was_refused
        )
        return ServiceJob(answer.json())

    async def job(self, job: ServiceJob | str) -> ServiceJob:
        """Return a job as it is now, by itself or by its id."""
        return ServiceJob((await self._send("GET", path_of(job))).json())

    async def wait(
        self,
        job: ServiceJob | str,
        *,
        on_progress: OnProgress = lambda job: None,
        timeout_s: float = math.inf,
    ) -> ServiceJob:
        """Wait until a job is done; see `Client.wait`."""
        end = time.monotonic() + timeout_s
        for wait_s in waits_s():
            found = await self.job(job)
            on_progress(found)
            if found.is_over:
                found.check_done()
                break
            if time.monotonic() >= end:
                raise TimeoutError(_late(found, timeout_s))
            await self._sleep(wait_s)
        return found

    async def result(self, job: ServiceJob | str) -> bytes:
        """Return the result of a job that is done; see `Client.result`."""
        return (await self._send("GET", path_of(job, "/result"))).content

    async def save_result(self, job: ServiceJob | str, target: Path | str) -> Path:
        """Write the result of a job to a file as it comes in; see `Client.save_result`."""
        with replacing(Path(target)) as part:

            async def write(answer: httpx.Response) -> None:
                with part.open("wb") as file:
                    async for chunk in answer.aiter_bytes():
                        await asyncio.to_thread(file.write, chunk)

            path = path_of(job, "/result")
            await self._attempt(lambda: self._http.build_request("GET", path), receive=write)
        return Path(target)

    async def cancel(self, job: ServiceJob | str) -> None:
        """Cancel a job, or forget one that has ended."""
        await self._send("DELETE", path_of(job))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        """Use as a context."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def _send(
        self,
        method: str,
        path: str,
        image: Path | str | bytes | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        request = build_request(self._http, method, path, image, options)
        return await self._attempt(lambda: request)

    async def _attempt(
        self,
        build: Callable[[], httpx.Request],
        *,
        receive: Callable[[httpx.Response], Awaitable[object]] = httpx.Response.aread,
        repeat: MayRepeat = lambda answer, error: True,
    ) -> httpx.Response:
        """Send a request until it is answered by a success; see `Client`."""
        for attempt in range(self._policy.retries + 1):
            request, answer, error = build(), None, None
            try:
                answer = await self._http.send(request, stream=True)
                async with aclosing(answer):
                    await (receive if answer.is_success else httpx.Response.aread)(answer)
            except httpx.TransportError as caught:
                answer, error = None, caught
            if answer is not None and answer.is_success:
                return answer
            wait_s = self._policy.wait_s(attempt, answer)
            if wait_s is None or not repeat(answer, error):
                break
            await self._sleep(wait_s)
        raise describe_refusal(request, answer, error)


def _late(job: ServiceJob, timeout_s: float) -> str:
    return f"job {job.id} is {job.state} after {timeout_s:g} s, {job.progress:.0%} done; it goes on"
