"""What a front answers itself, what the owner answers, and the limits that they share."""

from __future__ import annotations

import pytest

from maskzoo.service.fronts.front import is_answered_here
from maskzoo.service.guards.keys import new_key


def test_every_route_is_answered_in_one_place_and_gives_what_one_process_gives(
    house, start, counted_model, routes_of, png
):
    alone = start(counted_model)
    behind = house(counted_model).front()
    for method, path in routes_of(alone.app):
        if method in ("DELETE", "PUT", "POST") or path.endswith(("/events", "/metrics")):
            continue
        one, other = (client.request(method, path) for client in (alone, behind))
        assert other.status_code == one.status_code, (method, path)
        assert other.headers["content-type"] == one.headers["content-type"], path
        assert len(other.headers.get_list("x-request-id")) == 1, path
        assert "content-security-policy" in other.headers


@pytest.mark.parametrize(
    ("method", "path", "here"),
    [
        ("POST", "/segment", True),
        ("POST", "/v2/models/cells/infer", True),
        ("POST", "/cvat/cells", True),
        ("OPTIONS", "/jobs", True),
        ("GET", "/healthz", True),
        ("GET", "/", True),
        ("GET", "/web/page.js", True),
        ("GET", "/readyz", False),
        ("GET", "/metrics", False),
        ("POST", "/jobs", False),
        ("GET", "/models", False),
        ("PUT", "/admin/aliases/prod", False),
        ("GET", "/nothing", False),
    ],
)
def test_images_and_pages_are_answered_here_and_the_rest_by_the_owner(method, path, here):
    assert is_answered_here(method, path) is here


def test_jobs_go_through_a_front(house, counted_model, png, wait_until):
    there = house(counted_model)
    front, other = there.front(0), there.front(1)
    headers = {"x-request-id": "the-same"}
    made = front.post("/jobs", content=png, headers=headers)
    assert made.status_code == 202
    where = made.headers["location"]
    wait_until(lambda: other.get(where).json()["state"] == "done")
    events = front.get(f"{where}/events").text
    assert '"state": "done"' in events
    result = other.get(f"{where}/result")
    assert result.content == front.post("/segment", content=png, headers=headers).content
    part = front.get(f"{where}/result", headers={"range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, result.content[:10])
    assert front.delete(where).status_code == 204
    assert other.get(where).status_code == 404


def test_an_alias_that_is_set_through_one_front_holds_in_all(house, counted_model, png):
    there = house(counted_model, admin_token="t" * 16)
    fronts = [there.front(number) for number in range(2)]
    headers = {"authorization": f"Bearer {'t' * 16}"}
    body = {"model": "streets"}
    assert fronts[0].put("/admin/aliases/prod", json=body).status_code == 401
    assert fronts[0].put("/admin/aliases/prod", json=body, headers=headers).status_code == 200
    for front in fronts:
        answer = front.post("/segment?model=prod", content=png)
        assert answer.headers["maskzoo-model"] == "streets"
    assert fronts[1].post("/admin/models/streets/unload", headers=headers).status_code == 200
    for front in fronts:
        gone = front.post("/segment?model=prod", content=png)
        assert gone.json()["type"].endswith("#problem-model-unloaded")


def test_fronts_and_owner_count_the_requests_of_a_client_together(house, counted_model, png):
    there = house(counted_model, rate_limit=0.001, rate_burst=3)
    fronts = [there.front(number) for number in range(2)]
    asked = [(0, "/segment"), (1, "/segment"), (0, "/jobs"), (1, "/segment"), (1, "/jobs")]
    found = [fronts[number].post(path, content=png).status_code for number, path in asked]
    assert found == [200, 200, 202, 429, 429]
    assert fronts[0].get("/models").status_code == 200


def test_keys_are_asked_for_and_the_owner_of_a_job_is_known(house, counted_model, png):
    (ann, ann_hash), (bob, bob_hash) = new_key(), new_key()
    there = house(counted_model, api_keys={"ann": ann_hash, "bob": bob_hash})
    front = there.front()
    assert front.post("/segment", content=png).status_code == 401
    assert front.post("/jobs", content=png).status_code == 401
    assert front.post("/segment", content=png, headers={"x-api-key": bob}).status_code == 200
    made = front.post("/jobs", content=png, headers={"x-api-key": ann})
    where = made.headers["location"]
    assert front.get(where, headers={"x-api-key": ann}).status_code == 200
    assert front.get(where, headers={"x-api-key": bob}).status_code == 404


def test_an_ambiguous_request_is_refused_wherever_it_is_answered(house, counted_model, png):
    front = house(counted_model).front()
    for path in ("/segment?mode=whole&mode=tiled", "/jobs?mode=whole&mode=tiled"):
        assert front.post(path, content=png).status_code == 400


def test_a_body_that_is_too_large_is_refused_wherever_it_goes(house, counted_model):
    front = house(counted_model, max_bytes=1000, job_max_bytes=2000).front()
    for path, size in (("/segment", 200_000), ("/jobs", 200_000), ("/models", 100_000)):
        answer = front.post(path, content=bytes(size))
        assert answer.status_code == 413, path


def test_without_an_owner_a_front_lives_and_says_when_to_come_again(house, counted_model, png):
    there = house(counted_model)
    front = there.front()
    there.owners[0].end()
    assert front.get("/healthz").status_code == 200
    for method, path in (("GET", "/readyz"), ("GET", "/models"), ("POST", "/jobs")):
        answer = front.request(method, path, content=b"", headers={"x-request-id": "mine"})
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["x-request-id"] == "mine"
        assert answer.json()["type"].endswith("#problem-networks-away")
