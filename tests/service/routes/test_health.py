"""Health while the service is busy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest


def test_healthz_answers_while_a_network_works(start, held_model, png):
    client = start(held_model)
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(client.post, "/segment", content=png)
        assert held_model.started.wait(120)
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json()["ready"] is True
        assert client.get("/models").status_code == 200
        assert not working.done()
        held_model.release.set()
        assert working.result().status_code == 200


def test_readyz_lists_the_state_of_each_model(client):
    assert client.get("/readyz").json() == {
        "ready": True,
        "models": {"cells": "ready", "streets": "ready"},
    }


def test_a_lazy_service_is_ready_at_once_and_loads_at_the_first_request(start, png):
    client = start(preload=False)
    assert client.get("/readyz").json() == {
        "ready": True,
        "models": {"cells": "found", "streets": "found"},
    }
    assert client.post("/segment", content=png).status_code == 200
    assert client.get("/readyz").json()["models"] == {"cells": "ready", "streets": "found"}


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/cells/ready",
        "/label-studio/health",
        "/label-studio/cells/health",
    ],
)
def test_health_routes_answer_head_as_they_answer_get_without_the_body(client, path):
    answer = client.head(path)
    assert answer.status_code == client.get(path).status_code == 200
    assert answer.content == b""
