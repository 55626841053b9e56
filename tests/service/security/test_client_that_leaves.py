"""A client that leaves is 499 in the log and in the metrics, and never a crash."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import ClientDisconnect

from maskzoo.service.guards.security import RequestGuard

PATHS = [
    "/segment",
    "/jobs",
    "/huggingface/cells",
    "/cvat/cells",
    "/label-studio/predict",
    "/v2/models/cells/infer",
]
FORM = "multipart/form-data; boundary=b"
FRAMES = ["Content-Length: 300000", "Transfer-Encoding: chunked"]


def leave(address: str, path: str, content_type: str, frame: str, rest: bytes = b"") -> None:
    """Send the head of a request and less of its body than announced, and close."""
    host = urlsplit(address)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n{frame}\r\n\r\n"
    with socket.create_connection((host.hostname, host.port)) as connection:
        connection.sendall(head.encode() + rest)


def counted(address: str) -> Iterator[tuple[str, str]]:
    """Yield (route, code) of the requests that were counted."""
    for line in httpx.get(f"{address}/metrics").text.splitlines():
        if line.startswith("maskzoo_requests_total"):
            route, code = re.search(r'route="([^"]*)"', line), re.search(r'code="(\d+)"', line)
            assert route
            assert code
            if route[1] not in ("/metrics", "/readyz"):
                yield route[1], code[1]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_client_that_leaves_while_it_sends_is_a_499(serve, counted_model, caplog, frame):
    address = serve(counted_model)
    kinds = [(path, kind) for path in PATHS for kind in ("image/png", "application/json", FORM)]
    with caplog.at_level(logging.INFO):
        for path, kind in kinds:
            leave(address, path, kind, frame, b"3\r\n\x89PN\r\n" if "chunked" in frame else b"\x89")
        wait_for_lines(caplog, len(kinds))
    codes = dict.fromkeys(counted(address))
    assert {code for _, code in codes} <= {"499", "415"}, codes
    assert "499" in {code for _, code in codes}
    assert "event=crash" not in caplog.text
    assert "Traceback" not in caplog.text
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_a_client_that_leaves_while_it_waits_is_a_499(serve, held_model, caplog, png):
    address = serve(held_model)
    frame = f"Content-Length: {len(png)}"
    with caplog.at_level(logging.INFO):
        leave(address, "/segment", "image/png", frame, png)
        wait_for_lines(caplog, 1)
        held_model.release.set()
    assert ("/segment", "499") in set(counted(address))
    assert "event=crash" not in caplog.text


def wait_for_lines(caplog, number: int) -> None:
    ends = time.monotonic() + 120
    while sum("event=request method=POST" in line for line in caplog.messages) < number:
        assert time.monotonic() < ends, caplog.text
        time.sleep(0.01)


def guarded(app) -> tuple[list[dict], list[tuple]]:
    """Return what the outermost layer sends and counts for an application."""
    sent: list[dict] = []
    seen: list[tuple] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.disconnect"}

    def observe(*values: object) -> None:
        seen.append(values)

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "client": ("1.2.3.4", 1)}
    asyncio.run(RequestGuard(app, observe)(scope, receive, send))
    return sent, seen


def test_a_connection_that_breaks_while_the_answer_is_sent_is_not_a_crash(caplog):
    async def app(scope, receive, send) -> None:
        raise ClientDisconnect

    with caplog.at_level(logging.INFO):
        sent, seen = guarded(app)
    assert sent == []
    assert [code for _, _, code, _ in seen] == [499]
    assert "event=crash" not in caplog.text
    assert "status=499" in caplog.text


def test_a_request_that_the_server_cancels_is_a_503(caplog):
    async def app(scope, receive, send) -> None:
        raise asyncio.CancelledError

    sent, seen = guarded(app)
    assert sent[0]["status"] == 503
    assert b"#problem-stopping" in sent[1]["body"]
    assert [code for _, _, code, _ in seen] == [503]


def test_an_answer_that_has_begun_is_only_cut_when_the_server_ends():
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise asyncio.CancelledError

    sent, _ = guarded(app)
    assert [message["type"] for message in sent] == ["http.response.start"]
