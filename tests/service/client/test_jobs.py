"""Jobs through the client: sent as a stream, waited for, fetched, cancelled; nothing twice."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator

import cv2
import httpx
import numpy as np
import pytest

from maskzoo.service.client import jobs
from maskzoo.service.client.clients import AsyncClient, Client
from maskzoo.service.client.jobs import ServiceJob, waits_s
from maskzoo.service.client.messages import ServiceError
from maskzoo.service.client.retries import RetryPolicy

QUIET = RetryPolicy(retries=3, jitter=lambda: 0.0)


class Both:
    """One of the two clients, with methods that return results."""

    def __init__(self, kind: type, url: str, **settings: object) -> None:
        self._runner = asyncio.Runner()
        self._client = self._run(kind, url, **settings)

    def __getattr__(self, name: str) -> Callable:
        return lambda *given, **named: self._run(getattr(self._client, name), *given, **named)

    def _run(self, work: Callable, *given: object, **named: object) -> object:
        async def run() -> object:
            found = work(*given, **named)
            return await found if inspect.isawaitable(found) else found

        return self._runner.run(run())

    def end(self) -> None:
        """Close everything."""
        self.close()
        self._runner.close()


@pytest.fixture(params=[Client, AsyncClient])
def make(request) -> Iterator[Callable[..., Both]]:
    """`make(url, …)`: a client of either kind."""
    made = []

    def begin(url: str = "http://there", **settings: object) -> Both:
        made.append(Both(request.param, url, **settings))
        return made[-1]

    yield begin
    for one in made:
        one.end()


class Script:
    """Answers in order; an answer may be an exception. Notes bodies and waits."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.waits: list[float] = []

    def settings(self, *, is_async: bool) -> dict[str, object]:
        """Return the settings of a client of this script."""

        async def answer(request: httpx.Request) -> httpx.Response:
            await request.aread()
            return self._next(request)

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        def answer_now(request: httpx.Request) -> httpx.Response:
            request.read()
            return self._next(request)

        return {
            "policy": QUIET,
            "transport": httpx.MockTransport(answer if is_async else answer_now),
            "sleep": sleep if is_async else self.waits.append,
        }

    def _next(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(request.content)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def scripted(make, request) -> Callable[..., tuple[Both, Script]]:
    is_async = request.node.callspec.params["make"] is AsyncClient

    def begin(*answers: httpx.Response | Exception) -> tuple[Both, Script]:
        script = Script(*answers)
        return make(**script.settings(is_async=is_async)), script

    return begin


def document(state: str, **more: object) -> httpx.Response:
    status = 202 if state == "queued" else 200
    return httpx.Response(status, json={"id": "a1", "state": state, "progress": 0.5, **more})


def refused(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"detail": "full"}, headers=headers)


def test_a_job_goes_from_a_file_to_its_result_at_a_real_service(
    make, serve, counted_model, tmp_path
):
    pixels = np.zeros((90, 120, 3), np.uint8)
    pixels[:, 60:] = 255
    image, target = tmp_path / "scene.png", tmp_path / "mask.png"
    cv2.imwrite(str(image), pixels)
    client = make(serve(counted_model))
    seen: list[str] = []
    job = client.submit(image, model="cells", mode="tiled")
    done = client.wait(job, on_progress=lambda one: seen.append(one.state))
    assert (done.id, done.state, done.progress, seen[-1]) == (job.id, "done", 1.0, "done")
    assert client.save_result(done, target) == target
    assert target.read_bytes() == client.result(job.id) != b""
    mask = cv2.imdecode(np.frombuffer(target.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    client.cancel(job)
    with pytest.raises(ServiceError) as caught:
        client.job(job)
    assert caught.value.status == 404


def test_a_file_is_sent_in_parts_and_from_its_start_in_each_attempt(
    scripted, tmp_path, monkeypatch
):
    monkeypatch.setattr(jobs, "_CHUNK_BYTES", 7)
    path = tmp_path / "scene.tif"
    path.write_bytes(bytes(range(50)))
    client, script = scripted(refused(503, **{"Retry-After": "3"}), document("queued"))
    job = client.submit(str(path), tta="flip", threshold=None)
    assert (job.id, job.state, job.is_over) == ("a1", "queued", False)
    assert script.bodies == [bytes(range(50))] * 2
    assert script.waits == [3.0]
    for request in script.requests:
        assert request.headers["content-length"] == "50"
        assert "transfer-encoding" not in request.headers
        assert dict(request.url.params) == {"tta": "flip"}


@pytest.mark.parametrize(
    ("answer", "attempts"),
    [
        (httpx.ConnectError("refused"), 4),
        (httpx.ConnectTimeout("late"), 4),
        (429, 4),
        (503, 4),
        (httpx.ReadError("reset"), 1),
        (httpx.ReadTimeout("late"), 1),
        (httpx.WriteError("reset"), 1),
        (502, 1),
        (504, 1),
        (422, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_job_is_sent_again_only_where_it_surely_was_not_taken(scripted, answer, attempts):
    answers = [refused(answer) if isinstance(answer, int) else answer for _ in range(4)]
    client, script = scripted(*answers)
    with pytest.raises(ServiceError):
        client.submit(b"image")
    assert len(script.requests) == attempts


def test_waiting_asks_less_and_less_often_and_survives_a_server_that_is_away(scripted):
    states = [document("running")] * 5
    client, script = scripted(*states, httpx.ReadError("reset"), document("done"))
    assert client.wait("a1").state == "done"
    assert script.waits == [0.25, 0.5, 1.0, 2.0, 2.0, 0.25]
    assert {request.url.path for request in script.requests} == {"/jobs/a1"}


def test_a_job_that_failed_raises_its_problem(scripted):
    problem = {"detail": "the image is damaged", "status": 422}
    client, _ = scripted(document("failed", error=problem))
    with pytest.raises(ServiceError, match="job a1 failed: the image is damaged") as caught:
        client.wait("a1")
    assert (caught.value.status, caught.value.problem) == (422, problem)


def test_a_job_that_was_cancelled_and_one_that_takes_too_long_are_told_apart(scripted):
    client, _ = scripted(document("cancelled"), document("running"))
    with pytest.raises(ServiceError, match="job a1 is cancelled and has no result"):
        client.wait("a1")
    with pytest.raises(TimeoutError, match="a1 is running after 0 s, 50% done; it goes on"):
        client.wait(ServiceJob({"id": "a1"}), timeout_s=0)


class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"half of "
        raise httpx.ReadError("reset")

    async def __aiter__(self):
        for part in self.__iter__():
            yield part


def test_a_download_that_breaks_starts_again_and_one_that_fails_leaves_nothing(scripted, tmp_path):
    target = tmp_path / "mask.png"
    whole = httpx.Response(200, content=b"all of it")
    client, _ = scripted(httpx.Response(200, stream=Broken()), whole, refused(409))
    client.save_result("a1", target)
    assert target.read_bytes() == b"all of it"
    with pytest.raises(ServiceError, match="409"):
        client.save_result("a1", tmp_path / "other.png")
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]


def test_a_file_that_is_not_there_is_no_fault_of_the_service(scripted, tmp_path):
    client, script = scripted()
    with pytest.raises(FileNotFoundError):
        client.submit(tmp_path / "nothing.tif")
    assert script.requests == []


def test_the_waits_never_end_and_stay_below_two_seconds():
    waits = waits_s()
    assert max(next(waits) for _ in range(100)) == 2.0
