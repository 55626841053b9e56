"""A client for the service, without torch: `from maskzoo import Client`.

    with Client("http://127.0.0.1:8000") as client:
        found = client.segment("photo.jpg", model="nuclei")
        print(found.shares(), found.labels.shape)

`AsyncClient` is the same with `await`. A request that met a full server, or a broken connection,
is sent again: after the time that the server named in Retry-After, else after a time that grows.
Sending again is safe, since segmenting changes nothing on the server.
"""

from __future__ import annotations

import asyncio
import base64
import email.utils
import io
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
from PIL import Image

from models.errors import ZooError

DEFAULT_URL = "http://127.0.0.1:8000"
_RETRIED = (429, 502, 503, 504)
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0


class ServiceError(ZooError):
    """The service refused a request, or cannot be reached.

    Args:
        status: of the answer; 0 where there was none.
        problem: the problem document, as far as there was one.
    """

    def __init__(self, message: str, status: int = 0, problem: Mapping[str, Any] | None = None):
        self.status = status
        self.problem = dict(problem or {})
        super().__init__(message)


@dataclass(frozen=True)
class Found:
    """One segmented image: the service's JSON answer.

    Args:
        document: as `/docs` describes it.
    """

    document: dict[str, Any]

    @property
    def classes(self) -> list[dict[str, Any]]:
        """The classes that occur, each with id, name, colour, pixels, share, box, confidence."""
        return list(self.document["classes"])

    @cached_property
    def png(self) -> bytes:
        """The indexed PNG."""
        return base64.b64decode(self.document["png"])

    @cached_property
    def labels(self) -> np.ndarray:
        """Class ids, (H, W), of the upright image."""
        return np.asarray(Image.open(io.BytesIO(self.png)))

    def shares(self) -> dict[str, float]:
        """Return each class's part of the image, by name."""
        return {entry["name"]: entry["share"] for entry in self.classes}


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how soon a request is sent again.

    Args:
        retries: after the first attempt.
        longest_wait_s: a server that asks for more is given up.
        jitter: a number from 0 to 1, so that clients do not come back all at once.
    """

    retries: int = 5
    longest_wait_s: float = _LONGEST_WAIT_S
    jitter: Callable[[], float] = random.random

    def wait_s(self, attempt: int, answer: httpx.Response | None) -> float | None:
        """Return the seconds to wait before attempt + 1; None where there is to be none.

        Args:
            attempt: number of the one that failed, from 0.
            answer: what came; None where the connection failed.
        """
        if attempt >= self.retries or (answer is not None and answer.status_code not in _RETRIED):
            return None
        named = None if answer is None else parse_retry_after(answer.headers.get("retry-after"))
        if named is not None:
            return None if named > self.longest_wait_s else named + 0.25 * self.jitter()
        grown = min(_FIRST_WAIT_S * 2**attempt, self.longest_wait_s)
        return float(grown * (0.5 + 0.5 * self.jitter()))


def parse_retry_after(text: str | None, *, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a Retry-After header names, as a number or as a date."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now())


class Client:
    """Talks to one service.

    Args:
        url: where it is.
        key: an API key, where it wants one.
        timeout_s: for one attempt.
        policy: of sending again.
        transport, sleep: what a test replaces.
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
            base_url=url, headers=_headers(key), timeout=timeout_s, transport=transport
        )

    def segment(
        self, image: Path | str | bytes, *, model: str | None = None, **options: Any
    ) -> Found:
        """Segment one image file, given by its path or as its bytes.

        Args:
            model: None takes the server's default.
            options: further ones of `POST /segment`.

        Raises:
            ServiceError: the service refused it, or could not be reached.
        """
        asked = {"masks": "png", **options, "model": model, "format": "json"}
        return Found(self._send("POST", "/segment", image, asked).json())

    def fetch(self, image: Path | str | bytes, **options: Any) -> bytes:
        """Return the answer as it comes: `format="geojson"`, `variant="overlay"` …

        Raises:
            ServiceError: the service refused it, or could not be reached.
        """
        return self._send("POST", "/segment", image, options).content

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the service."""
        return list(self._send("GET", "/models").json()["models"])

    def describe(self, model: str | None = None) -> dict[str, Any]:
        """Return one model of the service, by default the one that it takes by default."""
        name = model or self._send("GET", "/models").json()["default"]
        return dict(self._send("GET", f"/models/{quote(str(name), safe='@')}").json())

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
        request = _request(self._http, method, path, image, options)
        for attempt in range(self._policy.retries + 1):
            answer, error = None, None
            try:
                answer = self._http.send(request)
            except httpx.TransportError as caught:
                error = caught
            if answer is not None and answer.is_success:
                return answer
            wait_s = self._policy.wait_s(attempt, answer)
            if wait_s is None:
                break
            self._sleep(wait_s)
        raise _refusal(request, answer, error)


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
    ) -> None:
        self._policy = policy or RetryPolicy()
        self._http = httpx.AsyncClient(
            base_url=url, headers=_headers(key), timeout=timeout_s, transport=transport
        )

    async def segment(
        self, image: Path | str | bytes, *, model: str | None = None, **options: Any
    ) -> Found:
        """Segment one image file; see `Client.segment`."""
        asked = {"masks": "png", **options, "model": model, "format": "json"}
        return Found((await self._send("POST", "/segment", image, asked)).json())

    async def fetch(self, image: Path | str | bytes, **options: Any) -> bytes:
        """Return the answer as it comes; see `Client.fetch`."""
        return (await self._send("POST", "/segment", image, options)).content

    async def models(self) -> list[dict[str, Any]]:
        """Return the models of the service."""
        return list((await self._send("GET", "/models")).json()["models"])

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
        request = _request(self._http, method, path, image, options)
        for attempt in range(self._policy.retries + 1):
            answer, error = None, None
            try:
                answer = await self._http.send(request)
            except httpx.TransportError as caught:
                error = caught
            if answer is not None and answer.is_success:
                return answer
            wait_s = self._policy.wait_s(attempt, answer)
            if wait_s is None:
                break
            await asyncio.sleep(wait_s)
        raise _refusal(request, answer, error)


def _headers(key: str | None) -> dict[str, str]:
    return {"User-Agent": "maskzoo-client"} | ({"Authorization": f"Bearer {key}"} if key else {})


def _request(
    http: httpx.Client | httpx.AsyncClient,
    method: str,
    path: str,
    image: Path | str | bytes | None,
    options: Mapping[str, Any] | None,
) -> httpx.Request:
    params = {key: _text(value) for key, value in (options or {}).items() if value is not None}
    if image is None:
        return http.build_request(method, path, params=params)
    data = image if isinstance(image, bytes) else Path(image).read_bytes()
    headers = {"Content-Type": "application/octet-stream"}
    return http.build_request(method, path, params=params, content=data, headers=headers)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


def _refusal(
    request: httpx.Request, answer: httpx.Response | None, error: Exception | None
) -> ServiceError:
    where = f"{request.url.scheme}://{request.url.netloc.decode()}"
    if answer is None:
        reason = str(error) or type(error).__name__
        return ServiceError(f"the service at {where} cannot be reached: {reason}; is it running?")
    try:
        problem = answer.json()
        detail = problem["detail"]
    except (ValueError, KeyError, TypeError):
        problem, detail = {}, answer.text[:200] or answer.reason_phrase
    return ServiceError(
        f"{where} answered {answer.status_code}: {detail}", answer.status_code, problem
    )
