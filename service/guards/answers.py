"""The limit of answers that their clients do not take: bytes in memory, and seconds.

An answer stays in memory until its client has read it, and a client need not read. A large one is
passed on in pieces: the server's own buffer then holds a piece at most, and what is left of the
answer goes with the client that takes too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskzoo.service.errors import OverloadedError
from maskzoo.service.problems import problem_of
from maskzoo.service.scheduling.budget import ByteBudget

PIECE = 256 * 1024
"""Bytes of an answer that are passed on at a time; smaller ones count nothing."""

MAX_SECONDS_PER_MIB = 16
"""Seconds for each MiB of a large answer, beyond those of a request."""


class AnswerGate:
    """ASGI middleware that holds no more of all answers than a budget allows.

    Args:
        budget: of the answers that are being sent.
        within_s: seconds for an answer of any size; `MAX_SECONDS_PER_MIB` are added.
        refused: called with the slug of the problem.
    """

    def __init__(
        self, app: ASGIApp, budget: ByteBudget, within_s: float, refused: Callable[[str], None]
    ) -> None:
        self.app = app
        self.budget = budget
        self.within_s = within_s
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None  # held back until it is known whether there is room
        is_refused = False

        async def pass_on(message: Message) -> None:
            nonlocal start
            if start is not None:
                head, start = start, None
                await send(head)
            await send(message)

        async def send_limited(message: Message) -> None:
            nonlocal start, is_refused
            if is_refused:
                return
            if message["type"] == "http.response.start":
                start = message
            elif len(message.get("body", b"")) <= PIECE:
                await pass_on(message)
            else:
                try:
                    await self._send_pieces(message, pass_on)
                except OverloadedError as error:
                    if start is None:  # it has begun, and can only be cut off
                        raise ClientDisconnect from None
                    is_refused = True
                    problem = problem_of(error)
                    self.refused(problem.kind.slug)
                    request_id = scope["state"]["request_id"]
                    answer = problem.response(path=scope["path"], request_id=request_id)
                    await answer(scope, receive, send)

        await self.app(scope, receive, send_limited)

    async def _send_pieces(self, message: Message, pass_on: Send) -> None:
        """Pass a large body on.

        Raises:
            OverloadedError: there is no room; nothing was passed on.
            ClientDisconnect: the client took too long.
        """
        body, has_more = message["body"], message.get("more_body", False)
        self.budget.take(len(body))
        try:
            async with asyncio.timeout(self.within_s + MAX_SECONDS_PER_MIB * len(body) / 2**20):
                for begin in range(0, len(body), PIECE):
                    piece, end = body[begin : begin + PIECE], begin + PIECE
                    more_body = has_more or end < len(body)
                    await pass_on({**message, "body": piece, "more_body": more_body})
        except TimeoutError:
            raise ClientDisconnect from None
        finally:
            self.budget.give_back(len(body))
