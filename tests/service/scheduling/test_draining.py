"""The end of the service, seen from inside."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor

from maskzoo.service.scheduling.draining import Drain


def begin_end(client) -> None:
    drain = client.app.state.services.drain
    client.portal.call(drain.start)
    client.portal.call(drain.start)  # a second signal changes nothing


def test_a_second_signal_begins_nothing_again():
    begun, ended = [], []

    async def on_limit() -> None:
        ended.append(True)

    async def scenario() -> None:
        drain = Drain(0.01, lambda: begun.append(True), on_limit)
        for _ in range(3):
            drain.start()
        while not ended:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.03)

    asyncio.run(scenario())
    assert (begun, ended) == ([True], [True])


def after_signals(*numbers: signal.Signals, leave_s: float) -> tuple[bool, bool, list[int]]:
    """Return whether a drain leaves and stops after signals, and what its server has seen."""
    seen: list[int] = []

    async def scenario() -> tuple[bool, bool]:
        drain = Drain(1000, lambda: None, asyncio.Event().wait, leave_s=leave_s)
        with drain.on_signals():
            for number in numbers:
                os.kill(os.getpid(), number)
            for _ in range(3):
                await asyncio.sleep(0)
            if leave_s < 1:
                await asyncio.wait_for(drain.started.wait(), 120)
            drain.close()
            return drain.is_leaving, drain.is_stopping

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda given, _: seen.append(given))
    try:
        return *asyncio.run(scenario()), seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_after_sigterm_the_service_leaves_first_and_a_second_one_or_sigint_ends_that():
    term, interrupt = signal.SIGTERM, signal.SIGINT
    assert after_signals(term, leave_s=1000) == (True, False, [])
    assert after_signals(term, term, leave_s=1000) == (True, True, [term])
    assert after_signals(interrupt, leave_s=1000) == (True, True, [interrupt])


def test_after_leave_s_the_service_and_its_server_stop():
    assert after_signals(signal.SIGTERM, leave_s=0.01) == (True, True, [signal.SIGTERM])
    assert after_signals(signal.SIGTERM, leave_s=0) == (True, True, [signal.SIGTERM])


def test_while_it_leaves_readiness_is_off_and_new_work_is_done(start, held_model, png):
    client = start(held_model)
    held_model.release.set()
    assert "connection" not in client.post("/segment", content=png).headers
    client.app.state.services.drain.is_leaving = True
    assert client.get("/readyz").status_code == 503
    answer = client.post("/segment", content=png)
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close", "a kept one brings requests when it is cut"


def test_from_the_signal_on_new_work_is_refused_and_work_in_flight_is_finished(
    start, held_model, png
):
    client = start(held_model)
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(client.post, "/segment", content=png)
        assert held_model.started.wait(120)
        begin_end(client)
        for path in ("/segment", "/jobs"):
            refused = client.post(path, content=png)
            assert refused.status_code == 503
            assert refused.json()["type"].endswith("#problem-stopping")
            assert refused.headers["retry-after"] == "1"
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        held_model.release.set()
        assert working.result().status_code == 200


def test_what_is_not_done_in_time_is_told_so(start, held_model, png):
    client = start(held_model, shutdown_s=0)
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(client.post, "/segment", content=png)
        assert held_model.started.wait(120)
        begin_end(client)
        answer = working.result()
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("#problem-stopping")
    held_model.release.set()


def test_the_end_closes_streams_of_events_and_gives_jobs_back(start, held_model, png, wait_until):
    client = start(held_model)
    job = client.post("/jobs?mode=whole", content=png).json()["id"]
    assert held_model.started.wait(120)
    with client.stream("GET", f"/jobs/{job}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry")
        begin_end(client)
        rest = list(lines)
    assert not any('"done"' in line for line in rest)
    held_model.release.set()
    wait_until(lambda: client.get(f"/jobs/{job}").json()["state"] == "queued")
