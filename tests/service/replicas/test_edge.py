"""What Ray's HTTP layer needs of ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskzoo.service.guards.security import RequestGuard
from maskzoo.service.replicas.edge import BehindRay
from maskzoo.service.scheduling.lifetime import TIMEOUT_HEADER


def ray_like(app: ASGIApp) -> ASGIApp:
    """Give each request an id and add it to the answer, as Ray's own layer does."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        headers = MutableHeaders(scope=scope)
        headers.setdefault("x-request-id", "given-by-ray")

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("X-Request-ID", headers["x-request-id"])
            await send(message)

        await app(scope, receive, add)

    return serve


def client(seen: list[Headers] | None = None) -> TestClient:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if seen is not None:
            seen.append(Request(scope).headers)
        await Response("fine")(scope, receive, send)

    return TestClient(ray_like(BehindRay(RequestGuard(app))))


@pytest.mark.parametrize(
    ("given", "answered"),
    [({}, ["given-by-ray"]), ({"X-Request-ID": "mine"}, ["mine"])],
)
def test_an_answer_has_one_request_id(given: dict[str, str], answered: list[str]) -> None:
    assert client().get("/", headers=given).headers.get_list("x-request-id") == answered


def test_an_id_that_the_service_replaced_is_still_told() -> None:
    told = client().get("/", headers={"X-Request-ID": "not safe!"}).headers
    ours = [value for value in told.get_list("x-request-id") if value != "not safe!"]
    assert len(ours) == 1


@pytest.mark.parametrize(
    ("given", "left"), [("10", "9.75"), ("0.1", "0.05"), ("0", "0"), ("soon", "soon")]
)
def test_the_limit_of_the_service_ends_before_that_of_ray(given: str, left: str) -> None:
    seen: list[Headers] = []
    client(seen).get("/", headers={TIMEOUT_HEADER: given})
    assert seen[0][TIMEOUT_HEADER] == left


def test_a_request_without_a_limit_gets_none() -> None:
    seen: list[Headers] = []
    client(seen).get("/")
    assert TIMEOUT_HEADER not in seen[0]


def test_other_scopes_pass_through() -> None:
    passed: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope)

    asyncio.run(BehindRay(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert passed == [{"type": "lifespan"}]
