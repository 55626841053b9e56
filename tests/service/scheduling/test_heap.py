"""Freed memory goes back to the system while the service runs."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import sys
import threading

import pytest

from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.scheduling.heap import find_trim, keep_small, limit_arenas


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
    assert not limit_arenas()
    asyncio.run(keep_small(every_s=0))


ARENAS = """
import ctypes, re, threading
from maskzoo.service.scheduling.heap import limit_arenas

limit_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
all_are_there = threading.Barrier(9)

def allocate():
    libc.malloc(100_000)
    all_are_there.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
all_are_there.wait()
libc.fopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


@pytest.mark.skipif(find_trim() is None, reason="only glibc has arenas")
@pytest.mark.parametrize("asked", [None, "5"])
def test_threads_share_two_arenas_unless_the_operator_wants_more(asked):
    env = {key: value for key, value in os.environ.items() if key != "MALLOC_ARENA_MAX"}
    env |= {} if asked is None else {"MALLOC_ARENA_MAX": asked}
    done = subprocess.run(
        [sys.executable, "-c", ARENAS], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("<heap nr=") == int(asked or 2)


def test_the_arenas_are_limited_before_any_model_is_loaded(start, monkeypatch):
    calls = []
    monkeypatch.setattr("maskzoo.service.app.limit_arenas", lambda: calls.append("limit"))
    monkeypatch.setattr(ModelManager, "preload", lambda self: calls.append("preload"))
    start(preload=True)
    assert calls == ["limit", "preload"]


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
