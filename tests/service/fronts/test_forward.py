"""Requests that another process answers: as if the client had asked it directly."""

from __future__ import annotations

import asyncio
import socket

import pytest

from maskzoo.service.errors import OwnerGoneError
from maskzoo.service.fronts.forward import Forwarder, answer_forwarded
from maskzoo.service.fronts.line import Line, LineClosedError

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/jobs/ä",
    "raw_path": b"/jobs/%C3%A4",
    "query_string": b"a=1&b=%20",
    "headers": [(b"x-one", b"\xe4"), (b"x-two", b"2")],
    "http_version": "1.1",
    "scheme": "https",
    "client": ("192.0.2.7", 5),
    "server": ("127.0.0.1", 8000),
    "root_path": "",
    "state": {},
}


def forward(app, messages, *, hold: bool = False):
    """Return what the client gets from `app`, and the scope and the messages that `app` got.

    Args:
        messages: of the client.
        hold: whether the client stays after them.
    """
    got, seen = [], {}

    async def run() -> None:
        here, there = (
            Line(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        )
        waiting = list(messages)

        async def receive():
            if waiting:
                return waiting.pop(0)
            if hold:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message) -> None:
            got.append(message)

        async def noting(scope, receive, send) -> None:
            seen["scope"] = scope
            await app(scope, receive, send)

        async def answer() -> None:
            described = (await there.receive()).facts["scope"]
            try:
                await answer_forwarded(noting, there, described)
            finally:
                there.close()

        answering = asyncio.create_task(answer())
        try:
            await Forwarder(lambda: here)(SCOPE, receive, send)
        finally:
            await asyncio.gather(answering, return_exceptions=True)

    asyncio.run(run())
    return got, seen.get("scope")


async def echo(scope, receive, send) -> None:
    """Answer with the body."""
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body += message["body"]
        is_more = message["more_body"]
    headers = [(b"x-length", str(len(body)).encode()), (b"x-raw", b"\xff")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def test_scope_body_and_answer_arrive_as_they_were_sent():
    body = bytes(range(256)) * 4000
    parts = [
        {"type": "http.request", "body": body[:70_000], "more_body": True},
        {"type": "http.request", "body": body[70_000:], "more_body": False},
    ]
    got, scope = forward(echo, parts, hold=True)
    start = got[0]
    assert (start["status"], start["headers"]) == (
        201,
        [(b"x-length", str(len(body)).encode()), (b"x-raw", b"\xff")],
    )
    assert b"".join(message["body"] for message in got[1:]) == body
    assert [message["more_body"] for message in got[1:]][-1] is False
    for key, value in SCOPE.items():
        assert scope[key] == value, key


def test_an_answer_without_a_body_and_one_in_parts_end():
    async def stream(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
        await send({"type": "http.response.body"})

    got, _ = forward(stream, [{"type": "http.request"}], hold=True)
    assert [message.get("body") for message in got] == [None, b"0", b"1", b"2", b""]


def test_a_client_that_leaves_is_a_disconnect_there():
    left = []

    async def waits(scope, receive, send) -> None:
        await receive()
        left.append((await receive())["type"])
        left.append((await receive())["type"])

    got, _ = forward(waits, [{"type": "http.request", "body": b"", "more_body": False}])
    assert got == []
    assert left == ["http.disconnect"] * 2


def test_a_process_that_ends_before_it_answers_is_told_from_one_that_ends_in_between():
    async def ends(scope, receive, send) -> None:
        raise RuntimeError

    async def breaks(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    with pytest.raises(OwnerGoneError):
        forward(ends, [{"type": "http.request"}], hold=True)
    with pytest.raises(LineClosedError):
        forward(breaks, [{"type": "http.request"}], hold=True)


def test_nobody_at_the_address_is_a_503_with_a_time():
    def connect():
        raise LineClosedError("refused")

    with pytest.raises(OwnerGoneError) as caught:
        asyncio.run(Forwarder(connect)(SCOPE, None, None))
    assert caught.value.retry_after_s == 2
