"""A request that another process answers: its ASGI messages go over a line of its own.

The process that answers it does all that belongs to a request: ids, keys, limits, log, metrics. The
one that has the connection only hands on what the client sends and gets.

    front                              owner
    {scope}                       ->   starts its application
    {type: http.request}, bytes   ->   receive()
                                  <-   send(): {type: http.response.start, …}
                                  <-   send(): {type: http.response.body, …}, bytes
                                  <-   {over: true}
    hangs up when the client does      http.disconnect
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskzoo.service.errors import OwnerGoneError
from maskzoo.service.fronts.line import MOST_BYTES, Line, LineClosedError

_KEYS = ("method", "path", "http_version", "scheme", "root_path", "client", "server")


class Forwarder:
    """ASGI application that lets another process answer.

    Args:
        connect: opens a line to it.
    """

    def __init__(self, connect: Callable[[], Line]) -> None:
        self._connect = connect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on one request.

        Raises:
            OwnerGoneError: the other process is gone, and nothing was answered.
            LineClosedError: it went in the middle of the answer.
        """
        try:
            line = self._connect()
        except LineClosedError:
            raise OwnerGoneError() from None
        has_started = False

        async def send_on(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        sending = asyncio.ensure_future(_hand_on(scope, receive, line))
        answering = asyncio.ensure_future(_pass_back(line, send_on))
        try:
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not answering.done():
                return  # the client has left
            answering.result()
        except LineClosedError:
            if has_started:
                raise
            raise OwnerGoneError() from None
        finally:
            for task in (sending, answering):
                task.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)
            line.close()


async def _hand_on(scope: Scope, receive: Receive, line: Line) -> None:
    """Send a request until its client has left."""
    with contextlib.suppress(LineClosedError):
        await line.send({"do": "forward", "scope": _describe(scope)})
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, is_more = message.get("body", b""), message.get("more_body", False)
            await _send_body(line, {"type": message["type"]}, body, is_more)
    await asyncio.Event().wait()  # what the other process still said is worth reading


async def _pass_back(line: Line, send: Send) -> None:
    """Send an answer to the client until it is complete."""
    while True:
        message = await line.receive()
        facts: dict[str, Any] = message.facts
        if facts.get("over"):
            return
        if "headers" in facts:
            facts["headers"] = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in facts["headers"]
            ]
        if facts["type"] == "http.response.body":
            facts["body"] = message.data
        await send(facts)


async def _send_body(line: Line, facts: dict[str, Any], body: bytes, is_more: bool) -> None:
    """Send a part of a body in as many messages as it needs."""
    view = memoryview(body)
    while True:
        part, view = view[:MOST_BYTES], view[MOST_BYTES:]
        await line.send({**facts, "more_body": is_more or bool(view)}, bytes(part))
        if not view:
            return


async def answer_forwarded(app: ASGIApp, line: Line, described: dict[str, Any]) -> None:
    """Answer a request that was handed on; the line is then at its end.

    Args:
        described: the scope, as the front has sent it.
    """
    is_gone = asyncio.Event()

    async def receive() -> Message:
        if is_gone.is_set():
            return {"type": "http.disconnect"}
        try:
            message = await line.receive()
        except LineClosedError:
            is_gone.set()
            return {"type": "http.disconnect"}
        return {**message.facts, "body": message.data}

    async def send(message: Message) -> None:
        facts = {key: value for key, value in message.items() if key != "body"}
        if "headers" in facts:
            facts["headers"] = [
                (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                for name, value in facts["headers"]
            ]
        with contextlib.suppress(LineClosedError):  # as a server does whose client has left
            if message["type"] == "http.response.body":
                body, is_more = message.get("body", b""), message.get("more_body", False)
                await _send_body(line, facts, body, is_more)
            else:
                await line.send(facts)

    await app(_scope_of(described), receive, send)
    with contextlib.suppress(LineClosedError):
        await line.send({"over": True})


def _describe(scope: Scope) -> dict[str, Any]:
    """Return a scope as JSON."""
    return {
        **{key: scope.get(key) for key in _KEYS},
        "raw_path": (scope.get("raw_path") or b"").decode("latin-1"),
        "query_string": scope["query_string"].decode("latin-1"),
        "headers": [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ],
    }


def _scope_of(described: dict[str, Any]) -> Scope:
    client, server = described["client"], described["server"]
    return {
        **described,
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "client": client and tuple(client),
        "server": server and tuple(server),
        "raw_path": described["raw_path"].encode("latin-1"),
        "query_string": described["query_string"].encode("latin-1"),
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in described["headers"]
        ],
        "state": {},
    }
