"""Images through a front: the same answers, limits and ends as with one process."""

from __future__ import annotations

import base64
import os
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from maskzoo.service.scheduling.admission import MIN_COST_PX

JPEG = ".jpg"


def body_of(answer) -> bytes:
    """Return a body without the times, which differ from one answer to the next."""
    if "json" in answer.headers["content-type"]:
        return re.sub(rb'"timings[^"]*": ?\{[^}]*\}', b"", answer.content)
    return answer.content


@pytest.fixture(name="both")
def both_fixture(house, start, make_model):
    """A client of one process and a client of a front, of equal models."""
    return start(make_model()), house(make_model()).front()


@pytest.fixture(name="make_model")
def make_model_fixture(counted_model):
    """`make_model()`: a model that tiles images of 10 000 pixels and more."""

    def make():
        model = type(counted_model)()
        model.whole_pixels = 10_000
        return model

    return make


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?variant=color",
        "?variant=overlay",
        "?variant=confidence",
        "?variant=cutout",
        "?format=json&masks=rle,polygons,png",
        "?format=geojson",
        "?format=npz&probabilities=true",
        "?format=tiff",
        "?threshold=0.8&classes=nucleus",
        "?model=streets",
    ],
)
def test_answers_are_those_of_one_process(both, encode, png, query):
    rng = np.random.default_rng(1)
    large = encode(rng.integers(0, 255, (130, 150, 3), np.uint8), JPEG)
    headers = {"x-request-id": "the-same"}
    for data in (png, large, b"not an image", b""):
        alone, behind = (
            client.post(f"/segment{query}", content=data, headers=headers) for client in both
        )
        assert behind.status_code == alone.status_code
        assert body_of(behind) == body_of(alone)
        for name in ("etag", "maskzoo-model", "maskzoo-classes", "content-type"):
            assert behind.headers.get(name) == alone.headers.get(name), name


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?model=nothing", {}),
        ("?classes=nothing", {}),
        ("?model=streets&threshold=0.5", {}),
        ("?mode=sideways", {}),
        ("", {"accept": "text/csv"}),
        ("", {"x-request-timeout-seconds": "soon"}),
    ],
)
def test_refusals_are_those_of_one_process(both, png, query, headers):
    headers |= {"x-request-id": "the-same"}
    alone, behind = (
        client.post(f"/segment{query}", content=png, headers=headers) for client in both
    )
    assert behind.status_code == alone.status_code >= 400
    assert behind.json() == alone.json()


def test_an_etag_of_a_front_is_known_to_the_next_one(house, counted_model, png):
    there = house(counted_model)
    tag = there.front(0).post("/segment", content=png).headers["etag"]
    again = there.front(1).post("/segment", content=png, headers={"if-none-match": tag})
    assert again.status_code == 304
    assert counted_model.calls == 1


def test_several_images_and_other_protocols_go_through_a_front(both, png):
    for path in ("/cvat/cells", "/huggingface/cells"):
        sent = {"image": base64.b64encode(png).decode()} if "cvat" in path else None
        asked = {"json": sent} if sent else {"content": png}
        alone, behind = (client.post(path, **asked) for client in both)
        assert behind.status_code == alone.status_code == 200
        assert body_of(behind) == body_of(alone)
    files = [("file", ("a.png", png)), ("file", ("b.png", b"broken")), ("file", ("c.png", png))]
    alone, behind = (
        client.post("/segment", files=files, headers={"accept": "application/json"})
        for client in both
    )
    assert [one["status"] for one in behind.json()] == [one["status"] for one in alone.json()]


def test_fronts_share_the_admission_and_their_images_share_batches(
    house, held_model, png, wait_until
):
    there = house(held_model, queue_pixels=4 * MIN_COST_PX)
    services, queue = there.owners[0].services, there.owners[0].services.batcher.queue
    fronts = [there.front(number) for number in range(2)]
    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(fronts[0].post, "/segment", content=png)]
        assert held_model.started.wait(30)
        working += [pool.submit(fronts[n % 2].post, "/segment", content=png) for n in range(3)]
        wait_until(lambda: len(queue) == 3)
        assert services.admission.pixels == 4 * MIN_COST_PX
        for front in fronts:
            refused = front.post("/segment", content=png)
            assert refused.status_code == 503
            assert refused.json()["type"].endswith("#problem-overloaded")
            assert int(refused.headers["retry-after"]) >= 1
        held_model.release.set()
        assert [one.result().status_code for one in working] == [200] * 4
    wait_until(lambda: services.admission.pixels == 0)
    assert held_model.batches == [1, 3]


def test_a_deadline_that_passes_gives_the_room_back_and_drops_the_image(
    house, held_model, png, wait_until
):
    there = house(held_model)
    front, services = there.front(), there.owners[0].services
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(front.post, "/segment", content=png)
        assert held_model.started.wait(30)
        late = front.post("/segment", content=png, headers={"x-request-timeout-seconds": "0.05"})
        assert late.status_code == 504
        wait_until(lambda: services.admission.pixels == MIN_COST_PX)
        held_model.release.set()
        assert first.result().status_code == 200
    wait_until(lambda: services.admission.pixels == 0)
    assert held_model.batches == [1], "the late image never ran"


def test_an_owner_that_ends_is_a_503_with_a_time_and_its_successor_answers(
    house, held_model, counted_model, png, wait_until
):
    there = house(held_model)
    front = there.front()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(front.post, "/segment", content=png)
        assert held_model.started.wait(30)
        ending = pool.submit(lambda: None)
        there.owners[0].end()
        ending.result()
        lost = working.result()
    assert lost.status_code == 503
    assert lost.headers["retry-after"] in ("1", "2")
    gone = front.post("/segment", content=png)
    assert (gone.status_code, gone.headers["retry-after"]) == (503, "2")
    assert gone.json()["type"].endswith("#problem-networks-away")
    with there.owning(0, lambda _: counted_model):
        assert front.post("/segment", content=png).status_code == 200


def test_several_owners_share_the_work_by_the_pixels_inside_them(
    house, held_model, counted_model, png, wait_until
):
    there = house(held_model, counted_model)
    front = there.front()
    first, second = (owner.services for owner in there.owners)
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(front.post, "/segment", content=png)
        assert held_model.started.wait(30)
        assert [front.post("/segment", content=png).status_code for _ in range(3)] == [200] * 3
        assert counted_model.calls == 3, "the first owner is busy"
        there.owners[1].end()
        held_model.release.set()
        assert working.result().status_code == 200
        assert front.post("/segment", content=png).status_code == 200, "the other one is left"
    assert first.admission.pixels == second.admission.pixels == 0


def test_descriptors_and_lines_of_requests_are_given_back(house, counted_model, png, encode):
    front = house(counted_model).front()
    bodies = [png, b"broken", encode(np.zeros((300, 300, 3), np.uint8), JPEG)]
    for body in bodies:
        front.post("/segment", content=body)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        for body in bodies:
            front.post("/segment?format=npz", content=body)
    assert len(os.listdir("/proc/self/fd")) <= before + 2


@pytest.mark.parametrize("leaves", [True, False])
def test_a_client_that_leaves_gives_its_room_back(house, held_model, png, wait_until, leaves, live):
    there = house(held_model)
    services = there.owners[0].services
    url = live(there)
    timeout = 1.0 if leaves else 60.0
    with httpx.Client(base_url=url, timeout=timeout) as client, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(client.post, "/segment", content=png)
        assert held_model.started.wait(30)
        if leaves:
            with pytest.raises(httpx.ReadTimeout):
                asking.result()
            wait_until(lambda: services.admission.pixels == 0)
        held_model.release.set()
        if not leaves:
            assert asking.result().status_code == 200
    wait_until(lambda: services.admission.pixels == 0)
