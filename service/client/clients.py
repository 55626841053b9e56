"""A client for the service, without torch: `from maskzoo import Client`.

    with Client("http://127.0.0.1:8000") as client:
        answer = client.segment("photo.jpg", model="nuclei")
        print(answer.fractions(), answer.label_map.shape)

`AsyncClient` is the same with `await`. If the server is full or the connection breaks, a request is
sent again: after the time in Retry-After, else after increasing delays. That is safe, since
segmenting changes nothing on the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from maskzoo.service.client.messages import (
    ServiceAnswer,
    build_headers,
    build_request,
    describe_refusal,
)
from maskzoo.service.client.retries import RetryPolicy

DEFAULT_URL = "http://127.0.0.1:8000"


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
    ) -> None:
        self._policy = policy or RetryPolicy()
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
        raise describe_refusal(request, answer, error)
