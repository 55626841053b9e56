"""The gate of bodies: no route reads more than it may, however its body comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from maskzoo.service.guards.bodies import SMALL_BODY, BodyGate, limit_of
from maskzoo.service.guards.security import RequestGuard
from maskzoo.service.inputs.bodies import FORM_ROOM, base64_room
from maskzoo.service.scheduling.budget import ByteBudget
from maskzoo.service.settings import Settings

SETTINGS = Settings(max_bytes=30_000, job_max_bytes=90_000, request_timeout_s=5, job_upload_s=9)
CHUNK = b" " * 8192


async def send_endlessly(
    app: Callable, method: str, path: str, content_type: str = "", *, length: int | None = None
) -> tuple[int, int]:
    """Send a body without a length and without an end; return the status and the bytes read."""
    read, statuses = 0, []

    async def receive() -> dict:
        nonlocal read
        assert read < 50_000_000, f"{method} {path} reads on and on"
        read += len(CHUNK)
        await asyncio.sleep(0)
        return {"type": "http.request", "body": CHUNK, "more_body": True}

    async def send(message: dict) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    pairs = [(b"content-type", content_type.encode())]
    if length is not None:
        pairs.append((b"content-length", str(length).encode()))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": pairs,
        "client": ("127.0.0.1", 1),
        "server": ("x", 80),
        "scheme": "http",
        "state": {},
    }
    await asyncio.wait_for(app(scope, receive, send), 120)
    return statuses[0], read


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", ""]
)
def test_no_route_reads_a_body_without_an_end(start, routes_of, content_type):
    """Walks all routes, so that one that is added without a limit fails here."""
    client = start(
        admin_token="a-token-of-sixteen", max_bytes=30_000, job_max_bytes=90_000, preload=False
    )
    for method, path in [*routes_of(client.app), ("GET", "/web/app.js"), ("PUT", "/nothing")]:
        if path.endswith("/events"):
            continue  # streams until its job ends
        limit = limit_of(path, client.app.state.services.settings)
        status, read = client.portal.call(
            send_endlessly, client.app, method, path, content_type
        )  # in the loop of the service
        assert read <= limit.max_body + len(CHUNK), (method, path)
        assert status != 500, (method, path)


@pytest.mark.parametrize(
    ("path", "max_body"),
    [
        ("/segment", base64_room(30_000)),
        ("/huggingface/cells", base64_room(30_000)),
        ("/v2/models/cells/infer", base64_room(30_000)),
        ("/jobs", 90_000 + FORM_ROOM),
        ("/jobs/0123", SMALL_BODY),
        ("/admin/aliases/x", SMALL_BODY),
        ("/segment/", SMALL_BODY),
        ("/a-route-of-tomorrow", SMALL_BODY),
    ],
)
def test_a_route_has_the_limit_of_what_it_takes(path, max_body):
    assert limit_of(path, SETTINGS).max_body == max_body


@pytest.mark.parametrize(
    ("path", "max_bytes", "within_s", "is_held"),
    [
        ("/segment", 30_000, 5, True),
        ("/cvat/cells", 30_000, 5, True),
        ("/jobs", 90_000, 9, False),
        ("/admin/aliases/x", SMALL_BODY, 5, True),
    ],
)
def test_a_body_has_its_routes_time_and_place(path, max_bytes, within_s, is_held):
    limit = limit_of(path, SETTINGS)
    assert (limit.max_bytes, limit.within_s, limit.is_held) == (max_bytes, within_s, is_held)


def app_of(budget: ByteBudget, settings: Settings = SETTINGS) -> tuple[FastAPI, list[str]]:
    """A small app behind the gate; notes what is refused."""
    refused: list[str] = []
    app = FastAPI(max_body_size=None)

    @app.post("/segment")
    @app.post("/other")
    async def read(body: dict) -> int:
        return len(body)

    app.add_middleware(BodyGate, settings=settings, budget=budget, refused=refused.append)
    app.add_middleware(RequestGuard)
    return app, refused


def json_of(size: int) -> bytes:
    return b"{}" + b" " * (size - 2)


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
def test_a_body_may_have_as_many_bytes_as_its_limit_and_not_one_more(more, status):
    app, refused = app_of(ByteBudget(10**9))
    headers = {"Content-Type": "application/json"}
    body = json_of(SMALL_BODY + more)
    answer = TestClient(app).post("/other", content=body, headers=headers)
    assert answer.status_code == status
    chunked = TestClient(app).post("/other", content=iter([body[:9], body[9:]]), headers=headers)
    assert chunked.status_code == status, "also without an announced length"
    assert refused == ["too-many-bytes"] * (2 * more)
    if more:
        assert answer.json()["max_bytes"] == SMALL_BODY
        assert answer.headers["connection"] == "close"


def test_what_is_announced_is_refused_before_anything_is_read():
    app, _ = app_of(ByteBudget(10**9))
    status, read = asyncio.run(send_endlessly(app, "POST", "/segment", length=10**12))
    assert (status, read) == (413, 0)


def test_bodies_share_a_budget_that_they_give_back():
    budget = ByteBudget(20_000)
    app, refused = app_of(budget)
    client = TestClient(app)
    headers = {"Content-Type": "application/json"}
    assert client.post("/segment", content=json_of(20_000), headers=headers).status_code == 200
    assert budget.used == 0
    budget.take(1)
    answer = client.post("/segment", content=json_of(20_000), headers=headers)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert refused == ["overloaded"]
    assert budget.used == 1, "a refused body gives back what had come"


def test_a_body_that_trickles_is_given_up():
    settings = Settings(request_timeout_s=0.05)
    app, refused = app_of(ByteBudget(10**9), settings)

    async def scenario() -> list[int]:
        statuses = []

        async def receive() -> dict:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict) -> None:
            statuses.append(message.get("status"))

        scope = {"type": "http", "method": "POST", "path": "/other", "headers": [], "state": {}}
        scope |= {"query_string": b"", "raw_path": b"/other", "client": None, "scheme": "http"}
        await asyncio.wait_for(app({**scope, "server": ("x", 80)}, receive, send), 120)
        return statuses

    assert asyncio.run(scenario())[0] == 504
    assert refused == ["deadline"]
