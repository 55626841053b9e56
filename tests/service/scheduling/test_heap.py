"""Freed memory goes back to the system while the service runs."""

from __future__ import annotations

import asyncio
import ctypes
import threading

import pytest

from maskzoo.service.scheduling.heap import find_trim, keep_small


def test_the_heap_is_trimmed_again_and_again_and_never_in_the_loop():
    threads = []

    async def main() -> None:
        def trim() -> None:
            threads.append(threading.get_ident())

        keeping = asyncio.create_task(keep_small(trim, every_s=0.001))
        async with asyncio.timeout(120):
            while len(threads) < 3:
                await asyncio.sleep(0.001)
        keeping.cancel()

    asyncio.run(main())
    assert threading.get_ident() not in threads


def test_where_there_is_nothing_to_call_nothing_is_called(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert find_trim() is None
    asyncio.run(keep_small(every_s=0))


@pytest.mark.skipif(find_trim() is None, reason="only glibc has malloc_trim")
def test_the_service_trims_its_heap(start, png, monkeypatch, wait_until):
    calls = []
    monkeypatch.setattr("maskzoo.service.scheduling.heap.EVERY_S", 0.01)
    monkeypatch.setattr(
        "maskzoo.service.scheduling.heap.find_trim", lambda: lambda: calls.append(1)
    )
    client = start()
    assert client.post("/segment", content=png).status_code == 200
    wait_until(lambda: len(calls) > 1)
    find_trim()()
