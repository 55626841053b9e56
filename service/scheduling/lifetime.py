"""Lifetime of a request: until its deadline, or until its client disconnects.

A client may set `x-request-timeout-seconds`; the server's own limit always holds. The framework
does not stop a handler whose client has left, so the connection is watched while it works.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from maskzoo.models.errors import shown
from maskzoo.service.errors import BadParameterError, ClientGoneError, DeadlineError

T = TypeVar("T")

TIMEOUT_HEADER = "x-request-timeout-seconds"


def read_timeout(request: Request, *, limit_s: float) -> float:
    """Return the time limit of a request: the client's, but at most the server's.

    Raises:
        BadParameterError: the header is not a positive number.
    """
    given = request.headers.get(TIMEOUT_HEADER)
    if given is None:
        return limit_s
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise BadParameterError(
            [f"{TIMEOUT_HEADER}: a positive number of seconds, not {shown(given)}"]
        )
    return min(seconds, limit_s)


def within_timeout(request: Request, *, limit_s: float) -> AbstractAsyncContextManager[None]:
    """Cancel the block when the time limit of the request is over; see `read_timeout`.

    Raises:
        BadParameterError: the header is not a positive number.
        DeadlineError: the time is over.
    """
    return deadline(read_timeout(request, limit_s=limit_s))


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Cancel the block after so many seconds.

    Raises:
        DeadlineError: the time is over.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise DeadlineError(f"no answer within {seconds:g} s") from None


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`; cancel it when the client leaves. The body must be read.

    Raises:
        ClientGoneError: the client left first.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_wait_until_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError("the client closed the connection")
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
