"""POST /segment when there is more work than the service can do."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from maskzoo import Predictor, Preprocessing
from maskzoo.service.scheduling.admission import MIN_COST_PX


def test_a_full_service_says_503_and_when_and_health_still_answers(
    start, held_model, png, wait_until
):
    client = start(held_model, queue_pixels=2 * MIN_COST_PX)
    services = client.app.state.services
    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(client.post, "/segment", content=png) for _ in range(2)]
        assert held_model.started.wait(120)
        wait_until(lambda: services.admission.pixels == 2 * MIN_COST_PX)
        refused = client.post("/segment", content=png)
        assert refused.status_code == 503
        assert refused.json()["type"].endswith("#problem-overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        held_model.release.set()
        assert [one.result().status_code for one in working] == [200, 200]
    assert services.admission.pixels == 0
    assert client.post("/segment", content=png).status_code == 200


def test_an_image_that_does_not_fit_into_memory_is_a_507_with_advice_and_others_go_on(
    start, counted_model, encode, png
):
    free = counted_model.segment_batch

    def segment_batch(images, options, *, plans):
        if any(image[0, 0, 0] > 127 for image in images):
            torch.empty(2**50)  # raises what torch raises on a CPU
        return free(images, options, plans=plans)

    counted_model.segment_batch = segment_batch
    client = start(counted_model)
    answer = client.post("/segment", content=encode(np.full((40, 60, 3), 255, np.uint8)))
    assert answer.status_code == 507
    assert answer.json()["type"].endswith("#problem-out-of-memory")
    assert "mode=resize" in answer.json()["detail"]
    assert client.post("/segment", content=png).status_code == 200


class BreaksOnBlack(nn.Module):
    """Two logits from the red channel; not a number where an image is black."""

    def forward(self, x: Tensor) -> Tensor:
        red = x[:, :1]
        is_black = x.amax((1, 2, 3), keepdim=True) == 0
        return torch.where(is_black, torch.nan, torch.cat([0.5 - red, red - 0.5], dim=1))


def test_an_image_whose_logits_are_not_numbers_fails_alone_and_says_where_they_came_from(
    start, labels, encode
):
    plain = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    client = start(Predictor(BreaksOnBlack(), labels, plain, device="cpu"))
    files = [encode(np.full((40, 60, 3), value, np.uint8)) for value in (200, 0, 90)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda body: client.post("/segment", content=body), files))
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    problem = answers[1].json()
    assert problem["type"].endswith("#problem-output-not-finite")
    assert (problem["engine"], problem["precision"]) == ("torch", "float32")


def test_a_deadline_that_passes_is_a_504_and_gives_its_room_back(start, held_model, png):
    client = start(held_model)
    answer = client.post("/segment", content=png, headers={"x-request-timeout-seconds": "0.05"})
    assert answer.status_code == 504
    assert "no answer within 0.05 s" in answer.json()["detail"]
    assert client.app.state.services.admission.pixels == 0


def test_the_servers_own_limit_holds_whatever_the_client_asks(start, held_model, png):
    client = start(held_model, request_timeout_s=0.05)
    answer = client.post("/segment", content=png, headers={"x-request-timeout-seconds": "900"})
    assert answer.status_code == 504


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon", ""])
def test_a_senseless_deadline_is_a_422(client, png, value):
    answer = client.post("/segment", content=png, headers={"x-request-timeout-seconds": value})
    assert answer.status_code == 422
    assert "x-request-timeout-seconds" in answer.json()["detail"]


def test_images_that_wait_together_run_together_and_each_gets_its_own_mask(
    start, held_model, encode, wait_until
):
    client = start(held_model)
    queue = client.app.state.services.batcher.queue
    images = [np.full((20, 30, 3), 250 if number % 2 else 3, np.uint8) for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(client.post, "/segment", content=encode(images[0]))]
        assert held_model.started.wait(120)
        waiting += [pool.submit(client.post, "/segment", content=encode(one)) for one in images[1:]]
        wait_until(lambda: len(queue) == 4)
        held_model.release.set()
        masks = [one.result().content for one in waiting]
    assert held_model.batches == [1, 4]
    for image, mask in zip(images, masks, strict=True):
        labels = np.asarray(Image.open(io.BytesIO(mask)))
        assert (labels == (image[0, 0, 0] > 127)).all()


def test_a_client_that_leaves_is_worked_for_no_longer(start, held_model, png):
    client = start(held_model)
    services = client.app.state.services
    left = asyncio.Event()

    async def leave() -> list[dict]:
        sent: list[dict] = []
        messages = iter([{"type": "http.request", "body": png, "more_body": False}])

        async def receive() -> dict:
            message = next(messages, None)
            if message is not None:
                return message
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            sent.append(message)

        scope = {
            **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1"},
            **{"method": "POST", "path": "/segment", "raw_path": b"/segment"},
            **{"query_string": b"", "root_path": "", "scheme": "http", "headers": []},
            **{"client": ("test", 1), "server": ("test", 80)},
        }
        await client.app(scope, receive, send)
        return sent

    working = client.portal.start_task_soon(leave)
    assert held_model.started.wait(120)
    client.portal.call(left.set)
    assert working.result(120)[0]["status"] == 499
    assert services.admission.pixels == 0
