"""Several processes as one service: killed, replaced, drained."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from maskzoo.models.errors import ZooError
from maskzoo.service.fronts import supervisor as module
from maskzoo.service.fronts.part import WRONG_INPUT, Part
from maskzoo.service.fronts.supervisor import Supervisor, devices_of, supervise
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.server import INTERRUPTED
from maskzoo.service.settings import Settings
from tests.service.fronts.parts import parts_of


@pytest.mark.parametrize(
    ("device", "gpus", "devices"),
    [
        ("auto", 0, ["auto"]),
        ("cpu", 0, ["cpu"]),
        ("auto", 2, ["cuda:0", "cuda:1"]),
        ("cuda", 1, ["cuda:0"]),
        ("cuda:1", 2, ["cuda:1"]),
        ("cuda:0 cuda:3", 4, ["cuda:0", "cuda:3"]),
        ("cpu cpu", 0, ["cpu", "cpu"]),
    ],
)
def test_each_device_that_is_named_or_there_has_an_owner(device, gpus, devices):
    assert devices_of(device, gpus=gpus) == devices


def test_a_system_without_its_shared_memory_is_refused_at_start(monkeypatch):
    monkeypatch.setattr("maskzoo.service.fronts.supervisor.HAS_SHARED_MEMORY", False)
    with pytest.raises(ZooError, match="need Linux; set it to 1"):
        supervise(Settings(processes=2), None, gpus=0)


class Child:
    """A process that has ended with a code."""

    pid = 4711

    def __init__(self, code: int) -> None:
        self.code = code

    async def wait(self) -> int:
        """Return its exit code."""
        return self.code


@pytest.fixture(name="supervisor")
def supervisor_fixture(tmp_path, monkeypatch):
    """Two devices and three fronts; `started` are the arguments of the processes, all of which
    end at once with the next of `codes`, and `waited` the pauses before they are started again."""
    monkeypatch.setattr(module, "mark_process_dead", lambda pid, path: None)
    listener = socket.socket()
    made = Supervisor(Settings(), listener, fronts=3, devices=["cuda:0", "cuda:1"], folder=tmp_path)
    made.started, made.codes, made.waited = [], [], []

    async def start(*command, pass_fds, **_):
        made.started.append((Part.model_validate_json(command[-1]), pass_fds))
        return Child(made.codes.pop(0))

    async def wait_for(waiting, seconds):
        waiting.close()
        made.waited.append(seconds)
        raise TimeoutError

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    monkeypatch.setattr(asyncio, "wait_for", wait_for)
    yield made
    listener.close()
    for descriptor in (made._page.descriptor, made._life, made._our_life):
        os.close(descriptor)


def test_a_process_that_ends_again_and_again_is_started_after_ever_longer_pauses(
    supervisor, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    live = supervisor._live

    async def live_for(part):
        now[0] += 61 if len(supervisor.codes) == 2 else 60
        return await live(part)

    monkeypatch.setattr(supervisor, "_live", live_for)
    supervisor.codes = [1] * 10 + [WRONG_INPUT]
    asyncio.run(supervisor._keep(supervisor._parts()[0]))
    assert supervisor.waited == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 0], "the last lived for long"


def test_a_process_that_cannot_work_with_these_settings_ends_the_service_with_its_code(supervisor):
    supervisor.codes = [WRONG_INPUT] * 5
    assert asyncio.run(supervisor.run()) == WRONG_INPUT
    assert supervisor.waited == []


@pytest.mark.parametrize(("interrupts", "code"), [(1, 0), (2, INTERRUPTED)])
def test_the_second_interrupt_is_the_one_that_the_exit_code_tells(supervisor, interrupts, code):
    for _ in range(interrupts):
        supervisor._on_signal(signal.SIGINT)
    supervisor._on_signal(signal.SIGTERM)
    assert supervisor._code == code


def test_each_process_gets_what_it_is_and_leaves_nothing_on_the_page(supervisor):
    page, parts = supervisor._page, supervisor._parts()
    assert [part.name for part in parts] == ["owner-0", "owner-1", "front-0", "front-1", "front-2"]
    assert [path.name for path in parts[2].addresses] == ["owner-0", "owner-1"]
    for left, part in enumerate(parts):
        for process in range(5):
            page.hold("bodies", process, 1)
        for owner in range(2):
            page.publish(owner, Admission(10**6))
        supervisor.codes = [left]
        assert asyncio.run(supervisor._live(part)) == left
        process = part.number if part.kind == "front" else 3 + part.number
        assert page._bytes["bodies"].tolist() == [int(one != process) for one in range(5)]
        gone = [not page.runs(owner) for owner in range(2)]
        assert gone == [part.name == f"owner-{owner}" for owner in range(2)]
        told, descriptors = supervisor.started[-1]
        assert told == part
        has_listener = part.listener in descriptors
        assert has_listener is (part.kind == "front"), "an owner would keep the port open"
        assert {part.page, part.life} <= set(descriptors)


@pytest.fixture(name="noise", scope="module")
def noise_fixture(encode) -> bytes:
    """An image that is some work."""
    return encode(np.random.default_rng(1).integers(0, 255, (500, 600, 3), np.uint8), ".jpg")


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.slow
def test_a_front_that_is_killed_under_load_loses_only_its_requests_and_is_replaced(
    run, noise, tmp_path
):
    with run(processes=2) as server:
        parts = parts_of(server)
        assert parts.keys() == {"owner-0", "front-0", "front-1"}
        answers: list[str] = []
        is_over = False

        def ask() -> None:
            while not is_over:
                try:
                    with httpx.Client(base_url=server.url, timeout=60) as client:
                        while not is_over:
                            answer = client.post("/segment?mode=whole", content=noise)
                            answers.append(str(answer.status_code))
                except httpx.HTTPError as error:
                    answers.append(type(error).__name__)

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            server.wait(lambda: answers.count("200") > 20)
            for _ in range(2):
                killed = parts_of(server)["front-0"]
                os.kill(killed, signal.SIGKILL)
                server.wait(lambda killed=killed: parts_of(server)["front-0"] != killed)
                done = len(answers)
                server.wait(lambda done=done: len(answers) > done + 20)
            is_over = True
            for one in asking:
                one.result()
        lost = [answer for answer in answers if answer != "200"]
        assert len(lost) <= 2 * 4, "at most those that were in it"
        assert not {answer for answer in lost if answer.isdigit()}, "cut off, not refused"
        server.wait(lambda: not server.is_working())
        metrics = server.client.get("/metrics").text
        assert 'maskzoo_requests_total{code="200",model="cells",route="/segment"}' in metrics
        files = open_files(parts["owner-0"])
        for _ in range(10):
            assert server.client.post("/segment", content=noise).status_code == 200
        assert open_files(parts["owner-0"]) <= files + 2, "nothing of the dead is kept"
        libraries = Path(f"/proc/{parts_of(server)['front-1']}/maps").read_text()
        assert "libtorch" not in libraries, "a front needs none"
        assert server.end(signal.SIGTERM) == 0
        assert "Traceback" not in server.text()
        assert not any(Path(f"/proc/{pid}").exists() for pid in parts_of(server).values())


@pytest.mark.slow
def test_an_owner_that_is_killed_is_a_503_until_its_successor_is_there(run, noise):
    with run(processes=2) as server:
        owner = parts_of(server)["owner-0"]
        job = server.client.post("/jobs?mode=tiled&tta=d4", content=noise).json()["id"]
        os.kill(owner, signal.SIGKILL)
        server.wait(lambda: parts_of(server)["owner-0"] != owner)
        gone = server.client.post("/segment", content=noise)
        assert (gone.status_code, gone.headers["retry-after"]) == (503, "2")
        assert server.client.get("/healthz").status_code == 200
        assert server.client.get("/readyz").status_code == 503
        server.wait(lambda: server.client.get("/readyz").status_code == 200)
        assert server.client.post("/segment", content=noise).status_code == 200
        assert server.wait_for_job(job, "done", "failed")["state"] == "done"
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_finishes_what_is_in_flight_and_ends_with_0(run, noise, number):
    with run(processes=2, shutdown_s=100) as server, ThreadPoolExecutor(1) as pool:
        working = pool.submit(server.client.post, "/segment?mode=tiled&tta=d4", content=noise)
        server.wait(server.is_working)
        assert server.end(number) == 0
        assert working.result().status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url + "/healthz")
        assert "Traceback" not in server.text()


@pytest.mark.slow
def test_what_is_not_done_in_time_is_a_503_and_the_end_is_in_time(run, noise):
    with run(processes=2, shutdown_s=0) as server, ThreadPoolExecutor(1) as pool:
        working = pool.submit(server.client.post, "/segment?mode=tiled&tta=d4", content=noise)
        server.wait(server.is_working)
        begun = time.monotonic()
        assert server.end(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 15
        answer = working.result()
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("#problem-stopping")


@pytest.mark.slow
def test_when_the_supervisor_is_killed_all_others_end(run, noise):
    with run(processes=2, shutdown_s=1) as server:
        parts = parts_of(server)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        end = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in parts.values()):
            assert time.monotonic() < end, "they are still there"
            time.sleep(0.05)


@pytest.mark.slow
def test_two_owners_serve_and_have_one_set_of_metrics_and_of_aliases(run, noise):
    headers = {"x-request-id": "the-same"}  # a PNG holds it

    def ask(server):
        return server.client.post("/segment?mode=whole", content=noise, headers=headers)

    token = "t" * 16
    admin = {"authorization": f"Bearer {token}"}
    with run(processes=2, device="cpu cpu", admin_token=token) as server:
        assert parts_of(server).keys() == {"owner-0", "owner-1", "front-0", "front-1"}
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, [server] * 12))
        assert [answer.status_code for answer in answers] == [200] * 12
        assert len({answer.content for answer in answers}) == 1
        metrics = server.client.get("/metrics").text
        assert 'maskzoo_images_total{model="cells"} 12.0' in metrics
        alias, body = "/admin/aliases/prod", {"model": "cells"}
        assert server.client.put(alias, json=body, headers=admin).status_code == 200
        gone = parts_of(server)["owner-0"]
        os.kill(gone, signal.SIGKILL)
        server.wait(lambda: parts_of(server)["owner-0"] != gone)
        answers = [
            server.client.post("/segment?model=prod", content=noise).status_code for _ in range(4)
        ]
        assert answers == [200] * 4, "the other one knows it"
        server.wait(lambda: server.client.get("/readyz").status_code == 200)
        models = server.client.get("/models").json()["models"]
        assert models[0]["aliases"] == ["prod"], "and so does the successor"
        assert server.end(signal.SIGTERM) == 0
