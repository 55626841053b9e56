"""The end of the service, seen from inside."""

from __future__ import annotations

import asyncio
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
