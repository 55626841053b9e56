"""The client: what it sends, when it sends again, what it says when it gives up."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import numpy as np
import pytest

from maskzoo.service.client.clients import AsyncClient, Client
from maskzoo.service.client.messages import ServiceError
from maskzoo.service.client.retries import RetryPolicy

QUIET = RetryPolicy(retries=3, jitter=lambda: 0.0)
DONE = {"models": []}


class Script:
    """Answers in order; an answer may be an exception. Notes what was asked and waited."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Give the next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **settings: object) -> Client:
        """Return a client of this script."""
        transport = httpx.MockTransport(self)
        known = {"policy": QUIET, "transport": transport, "sleep": self.waits.append}
        return Client(**{**known, **settings})


def refused(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"detail": "full"}, headers=headers)


def test_a_full_server_is_asked_again_after_the_time_it_named():
    script = Script(refused(503, **{"Retry-After": "7"}), httpx.Response(200, json=DONE))
    assert script.client().models() == []
    assert script.waits == [7.0]


def test_without_a_named_time_the_waits_grow():
    script = Script(
        refused(503), httpx.ConnectError("refused"), refused(502), httpx.Response(200, json=DONE)
    )
    script.client().models()
    assert script.waits == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 507])
def test_a_mistake_is_not_sent_again(status):
    script = Script(refused(status, **{"Content-Type": "application/problem+json"}))
    with pytest.raises(ServiceError, match=f"answered {status}: full") as caught:
        script.client().models()
    assert caught.value.status == status
    assert caught.value.problem == {"detail": "full"}
    assert script.waits == []


def test_after_the_last_attempt_the_last_answer_is_told():
    script = Script(*[refused(503)] * 4)
    with pytest.raises(ServiceError, match="answered 503"):
        script.client().models()
    assert len(script.requests) == 4


def test_a_server_that_asks_for_too_much_patience_is_given_up():
    script = Script(refused(429, **{"Retry-After": "3600"}))
    with pytest.raises(ServiceError, match="429"):
        script.client().models()
    assert script.waits == []


def test_a_server_that_is_not_there_is_named():
    script = Script(*[httpx.ConnectError("connection refused")] * 4)
    with pytest.raises(ServiceError, match="cannot be reached: connection refused; is it running"):
        script.client().models()


def test_options_are_sent_as_the_service_has_them():
    script = Script(httpx.Response(200, content=b"x"))
    client = script.client(key="k1")
    client.fetch(b"image", format="npz", probabilities=True, classes=["a", "b"], model=None)
    (request,) = script.requests
    assert request.headers["authorization"] == "Bearer k1"
    assert dict(request.url.params) == {"format": "npz", "probabilities": "true", "classes": "a,b"}
    assert request.content == b"image"


def test_a_mask_comes_from_a_real_service(serve, counted_model, png, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png)
    with Client(serve(counted_model)) as client:
        assert [entry["name"] for entry in client.models()] == ["cells", "streets"]
        answer = client.segment(path, model="cells")
        assert answer.label_map.shape == (40, 60)
        assert (answer.label_map == 1).sum() == 200
        assert answer.fractions()["nucleus"] == pytest.approx(200 / 2400, abs=1e-6)
        assert client.fetch(png, variant="overlay").startswith(b"\x89PNG")
        with pytest.raises(ServiceError, match="did you mean 'cells'") as caught:
            client.segment(png, model="cels")
        assert caught.value.problem["suggestions"] == ["cells"]


def test_the_async_client_does_the_same(serve, counted_model, png):
    async def work(address: str) -> tuple[np.ndarray, int]:
        async with AsyncClient(address) as client:
            answers = await asyncio.gather(*(client.segment(png) for _ in range(3)))
            return answers[0].label_map, len(await client.models())

    label_map, count = asyncio.run(work(serve(counted_model)))
    assert (label_map == 1).sum() == 200
    assert count == 2


def test_the_async_client_waits_too():
    script = Script(refused(503, **{"Retry-After": "0"}), httpx.Response(200, json=DONE))

    async def work() -> list:
        async with AsyncClient(transport=httpx.MockTransport(script), policy=QUIET) as client:
            return await client.models()

    assert asyncio.run(work()) == []
    assert len(script.requests) == 2


def test_the_client_is_there_without_torch():
    source = (
        "from maskzoo import AsyncClient, Client; import sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", source], check=True)
