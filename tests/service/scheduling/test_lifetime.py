"""The lifetime of a request: the shorter of two limits, and no longer than its client listens."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from maskzoo.service.errors import BadParameterError, ClientGoneError, DeadlineError
from maskzoo.service.scheduling.lifetime import deadline, read_timeout, while_connected


def request_of(*messages: dict, **headers: str) -> Request:
    """A request that receives `messages` and then waits for ever."""
    waiting = list(messages)

    async def receive() -> dict:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": pairs}, receive)


@pytest.mark.parametrize(("given", "seconds"), [("5", 5), ("0.25", 0.25), ("60", 60), ("61", 60)])
def test_the_client_may_shorten_the_limit_of_the_server_and_not_lengthen_it(given, seconds):
    assert read_timeout(request_of(x_request_timeout_seconds=given), limit_s=60) == seconds


def test_without_a_header_the_limit_of_the_server_holds():
    assert read_timeout(request_of(), limit_s=60) == 60


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "1e400", "soon", "", "9" * 5000])
def test_a_limit_is_a_positive_number(given):
    with pytest.raises(BadParameterError, match="a positive number of seconds"):
        read_timeout(request_of(x_request_timeout_seconds=given), limit_s=60)


def test_a_block_that_takes_too_long_is_a_deadline_error():
    async def wait() -> None:
        async with deadline(0):
            await asyncio.Event().wait()

    with pytest.raises(DeadlineError, match="no answer within 0 s"):
        asyncio.run(wait())


def test_a_timeout_inside_the_block_is_not_taken_for_the_deadline():
    async def work() -> None:
        async with deadline(60):
            raise TimeoutError("another clock")

    with pytest.raises(TimeoutError, match="another clock"):
        asyncio.run(work())


def test_a_client_that_leaves_cancels_the_work():
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def scenario() -> None:
        more = {"type": "http.request"}
        await while_connected(request_of(more, {"type": "http.disconnect"}), work())

    with pytest.raises(ClientGoneError):
        asyncio.run(scenario())
    assert cancelled == [True]


def test_a_client_that_stays_gets_the_result_or_the_error():
    async def good() -> int:
        return 7

    async def bad() -> int:
        raise ValueError("broken")

    assert asyncio.run(while_connected(request_of(), good())) == 7
    with pytest.raises(ValueError, match="broken"):
        asyncio.run(while_connected(request_of(), bad()))
