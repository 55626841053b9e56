"""Load, unload, alias: by token, and not there at all without one."""

from __future__ import annotations

import pytest

TOKEN = "a-token-of-some-length"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def admin(start):
    return start(admin_token=TOKEN)


def test_without_a_token_there_are_no_such_routes(client):
    for method, path in [("POST", "/admin/models/cells/load"), ("PUT", "/admin/aliases/prod")]:
        assert client.request(method, path, headers=ADMIN).status_code == 404
    assert not [path for path in client.get("/openapi.json").json()["paths"] if "admin" in path]


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00e9"],
)
def test_a_wrong_token_is_a_401_whatever_is_asked(admin, value):
    for path in ("/admin/models/cells/unload", "/admin/models/nothing/load"):
        answer = admin.post(path, headers={"Authorization": value.encode()})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"].endswith("#problem-admin-token")
    assert admin.get("/models/cells").json()["state"] == "ready"


def test_a_model_is_taken_out_and_brought_back(admin, png):
    out = admin.post("/admin/models/cells/unload", headers=ADMIN)
    assert (out.status_code, out.json()["state"]) == (200, "unloaded")
    refused = admin.post("/segment?model=cells", content=png)
    assert refused.status_code == 503
    assert refused.json()["type"].endswith("#problem-model-unloaded")
    assert admin.get("/readyz").json()["models"]["cells"] == "unloaded"
    back = admin.post("/admin/models/cells/load", headers=ADMIN)
    assert (back.status_code, back.json()["state"]) == (200, "ready")
    assert admin.post("/segment?model=cells", content=png).status_code == 200


def test_a_model_that_is_still_loading_is_a_202(start):
    client = start(admin_token=TOKEN, preload=False, load_wait_s=0)
    answer = client.post("/admin/models/cells/load", headers=ADMIN)
    assert (answer.status_code, answer.json()["state"]) == (202, "loading")


def test_an_alias_is_set_used_listed_and_forgotten(admin, png):
    target = {"model": "streets"}
    assert admin.put("/admin/aliases/prod", json=target, headers=ADMIN).json() == {
        "prod": "streets"
    }
    assert admin.post("/segment?model=prod", content=png).headers["maskzoo-model"] == "streets"
    assert admin.get("/models/prod").json()["aliases"] == ["prod"]
    assert admin.delete("/admin/aliases/prod", headers=ADMIN).json() == {}
    assert admin.post("/segment?model=prod", content=png).status_code == 404


@pytest.mark.parametrize(
    ("alias", "body", "status", "word"),
    [
        ("cells", {"model": "streets"}, 422, "name of a model"),
        ("UPPER", {"model": "streets"}, 422, "not allowed"),
        ("prod", {"model": "nothing"}, 404, "unknown model"),
        ("prod", {}, 422, "model"),
        ("prod", {"model": "cells", "weight": 1}, 422, "weight"),
    ],
)
def test_an_alias_that_cannot_be_is_refused_in_words(admin, alias, body, status, word):
    answer = admin.put(f"/admin/aliases/{alias}", json=body, headers=ADMIN)
    assert answer.status_code == status
    assert word in answer.json()["detail"]


def test_an_alias_that_is_not_there_cannot_be_forgotten(admin):
    answer = admin.delete("/admin/aliases/prod", headers=ADMIN)
    assert answer.status_code == 422
    assert "there is no alias 'prod'" in answer.json()["detail"]


def test_the_token_is_in_no_answer_and_in_no_text_of_the_settings(admin):
    assert TOKEN not in repr(admin.app.state.services.settings)
    assert TOKEN not in admin.get("/openapi.json").text
