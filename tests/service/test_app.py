"""The application factory: what settings switch on, and what is there without them."""

from __future__ import annotations

import pytest

from maskzoo.models.machine import Machine

TOKEN = "a-token-of-sixteen"


def paths(client) -> set[str]:
    return set(client.app.openapi()["paths"])


def test_every_group_of_routes_is_there(client):
    wanted = {"/segment", "/jobs", "/models", "/healthz", "/metrics", "/v2", "/cvat/{model}"}
    assert wanted <= paths(client)


def test_admin_routes_exist_only_with_a_token(start):
    assert not any(path.startswith("/admin") for path in paths(start()))
    assert any(path.startswith("/admin") for path in paths(start(admin_token=TOKEN)))


@pytest.mark.parametrize("origins", [(), ("https://a.example",)])
def test_other_origins_are_answered_only_where_they_are_set(start, origins):
    answer = start(cors_origins=origins).get("/healthz", headers={"Origin": "https://a.example"})
    assert answer.headers.get("access-control-allow-origin") == (
        "https://a.example" if origins else None
    )
    if origins:
        assert "Maskzoo-Classes" in answer.headers["access-control-expose-headers"]


def test_keys_and_rates_are_checked_only_where_they_are_set(start):
    assert start().get("/models").status_code == 200
    assert start(api_keys={"me": "0" * 64}).get("/models").status_code == 401
    limited = start(rate_limit=0.001, rate_burst=1)
    statuses = [limited.post("/segment", content=b"x").status_code for _ in range(2)]
    assert statuses == [400, 429]


def test_an_answer_has_the_safe_headers_and_the_id_of_its_request(client):
    answer = client.get("/healthz", headers={"X-Request-ID": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_machine_decides_what_the_operator_left_open(start, monkeypatch):
    asked = []

    def measure(device: str) -> Machine:
        asked.append(device)
        return Machine(16, gpus=1)

    monkeypatch.setattr("maskzoo.service.app.measure_machine", measure)
    services = start(device="cpu", batch_items=7).app.state.services
    assert asked == ["cpu"]
    assert (services.settings.image_threads, services.settings.network_threads) == (14, 3)
    assert services.batcher.queue.max_batch_items == 7
    assert services.batcher.queue.limits.most == 2**24
