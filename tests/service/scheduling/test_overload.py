"""Four times as much work as the service can do, for ten seconds: a short `benchmarks/overload.py`.

Nothing here depends on how fast the machine is: a slower one refuses more.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter

import httpx
import pytest

SECONDS, CAPACITY, TIMES = 10, 20, 4
ROOM = 8  # images that may be inside


async def overload(address: str, png: bytes) -> tuple[Counter[str], Counter[int], list[int]]:
    """Send images at fixed moments, whatever comes back; return answers, health and queue."""
    answers: Counter[str] = Counter()
    health: Counter[int] = Counter()
    waiting: list[int] = []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as http:

        async def send() -> None:
            answer = await http.post("/segment", content=png)
            told = answer.headers.get("retry-after", "")
            is_honest = answer.status_code == 503 and told.isdecimal() and int(told) >= 1
            answers["503 with Retry-After" if is_honest else str(answer.status_code)] += 1

        async def look() -> None:
            while True:
                health[(await http.get("/healthz")).status_code] += 1
                text = (await http.get("/metrics")).text
                found = re.findall(r"^maskzoo_queue_depth\{.*\} (\S+)$", text, re.MULTILINE)
                waiting.append(sum(int(float(value)) for value in found))
                await asyncio.sleep(0.2)

        looking = asyncio.create_task(look())
        begun, sending = time.monotonic(), []
        for number in range(SECONDS * CAPACITY * TIMES):
            await asyncio.sleep(begun + number / (CAPACITY * TIMES) - time.monotonic())
            sending.append(asyncio.create_task(send()))
        await asyncio.gather(*sending)
        looking.cancel()
    return answers, health, waiting


@pytest.mark.slow
def test_under_four_times_its_capacity_each_answer_is_a_mask_or_an_honest_refusal(
    serve, counted_model, png
):
    run = counted_model.segment_batch

    def slowly(images, options, *, plans):
        time.sleep(len(images) / CAPACITY)
        return run(images, options, plans=plans)

    counted_model.segment_batch = slowly
    address = serve(counted_model, queue_pixels=ROOM * 256 * 256, batch_items=2)
    answers, health, waiting = asyncio.run(overload(address, png))
    assert set(answers) == {"200", "503 with Retry-After"}, answers
    assert sum(answers.values()) == SECONDS * CAPACITY * TIMES
    assert answers["200"] == sum(counted_model.batches), "what was let in was done, once each"
    assert set(health) == {200}
    assert max(waiting) > 0
    assert max(waiting) <= ROOM
    assert httpx.post(f"{address}/segment", content=png).status_code == 200, "and it goes on"
