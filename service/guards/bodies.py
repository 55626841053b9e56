"""The limit of every request body: bytes, seconds, and a share of one budget of memory.

A route that expects no image gets `SMALL_BODY` bytes, whatever it does with them; so a new route
has a limit before anybody thinks of one. The gate answers by itself: frameworks parse bodies before
they check who sent them, and turn what goes wrong there into answers of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskzoo.models.errors import ZooError
from maskzoo.service.errors import (
    ClientGoneError,
    DeadlineError,
    OverloadedError,
    UploadTooLargeError,
)
from maskzoo.service.inputs.bodies import FORM_ROOM, announced_bytes, base64_room
from maskzoo.service.problems import problem_of
from maskzoo.service.scheduling.budget import ByteBudget
from maskzoo.service.settings import Settings

SMALL_BODY = 64 * 1024
"""Bytes of a body that holds no image."""

_IMAGES_BELOW = ("/huggingface/", "/cvat/", "/label-studio/", "/v2/models/")


@dataclass(frozen=True)
class BodyLimit:
    """The limit of the bodies of one route.

    Args:
        max_body: bytes of the body.
        max_bytes: of the images in it, for the message.
        within_s: seconds until the last byte must have come.
        is_held: whether the body is held in memory; else it goes to the disk as it comes.
    """

    max_body: int
    max_bytes: int
    within_s: float
    is_held: bool = True


def takes_images(path: str) -> bool:
    """Return whether the bodies that are sent to a path hold images, in memory."""
    return path == "/segment" or path.startswith(_IMAGES_BELOW)


def limit_of(path: str, settings: Settings) -> BodyLimit:
    """Return the limit of the bodies that are sent to a path."""
    if path == "/jobs":
        room = settings.job_max_bytes + FORM_ROOM
        return BodyLimit(room, settings.job_max_bytes, settings.job_upload_s, is_held=False)
    if takes_images(path):
        room = base64_room(settings.max_bytes)
        return BodyLimit(room, settings.max_bytes, settings.request_timeout_s)
    return BodyLimit(SMALL_BODY, SMALL_BODY, settings.request_timeout_s)


class BodyGate:
    """ASGI middleware that reads no more of a body than its route may have.

    Args:
        refused: called with the slug of the problem.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, budget: ByteBudget, refused: Callable[[str], None]
    ) -> None:
        self.app = app
        self.settings = settings
        self.budget = budget
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it as soon as its body is too much."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(limit_of(scope["path"], self.settings), self.budget, receive, send)
        announced = announced_bytes(Headers(scope=scope))
        try:
            if announced > body.limit.max_body:
                body.refuse(UploadTooLargeError(body.limit.max_bytes))
            await self.app(scope, body.receive, body.send)
        except Exception:
            if body.refusal is None:
                raise
        finally:
            self.budget.give_back(body.held)
        if body.refusal is not None and not body.has_started:
            problem = problem_of(body.refusal)
            self.refused(problem.kind.slug)
            answer = problem.response(path=scope["path"], request_id=scope["state"]["request_id"])
            answer.headers["Connection"] = "close"  # the rest of the body is not wanted
            await answer(scope, receive, send)


class _RefusedError(Exception):
    """Ends whatever reads a body that is refused; the gate answers instead."""


class _Body:
    """One body as it comes in, and the answer as it goes out."""

    def __init__(self, limit: BodyLimit, budget: ByteBudget, receive: Receive, send: Send) -> None:
        self.limit = limit
        self.held = 0
        self.refusal: ZooError | None = None
        self.has_started = False
        self._budget = budget
        self._receive = receive
        self._send = send
        self._received = 0
        self._is_whole = False
        self._ends = asyncio.get_running_loop().time() + limit.within_s

    async def receive(self) -> Message:
        """Return the next message of the client."""
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            self.refuse(DeadlineError(f"the body did not come within {self.limit.within_s:g} s"))
        if message["type"] == "http.disconnect":
            self.refuse(ClientGoneError("the client closed the connection while it sent its body"))
        if message["type"] == "http.request":
            self._count(len(message.get("body", b"")))
            self._is_whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass the answer on, but nothing that the application says to a refused body."""
        if self.refusal is not None and not self.has_started:
            return
        self.has_started = True
        await self._send(message)

    def refuse(self, error: ZooError) -> NoReturn:
        """Answer with `error`, whatever the application makes of the exception."""
        self.refusal = error
        raise _RefusedError from None

    def _count(self, num_bytes: int) -> None:
        self._received += num_bytes
        if self._received > self.limit.max_body:
            self.refuse(UploadTooLargeError(self.limit.max_bytes))
        if self.limit.is_held:
            try:
                self._budget.take(num_bytes)
            except OverloadedError as error:
                self.refuse(error)
            self.held += num_bytes
