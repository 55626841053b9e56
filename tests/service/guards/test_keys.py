"""API keys: hashed at rest, compared whole, needed everywhere but where people look first."""

from __future__ import annotations

import hashlib

import pytest

from maskzoo.service.guards.keys import KeyGate, hash_key, new_key
from maskzoo.service.settings import Settings

KEY, HASH = new_key()


@pytest.fixture
def guarded(start):
    return start(api_keys=f"ann={HASH} bob={hash_key('other')}")


def test_a_key_is_long_and_its_hash_is_its_sha256():
    assert len(KEY) > 40
    assert hashlib.sha256(KEY.encode()).hexdigest() == HASH
    assert new_key()[0] != KEY


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_who_has_a_key_is_let_in(guarded, png, header):
    value = f"Bearer {KEY}" if header == "Authorization" else KEY
    assert guarded.post("/segment", content=png, headers={header: value}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {HASH}"},  # the hash is no key
        {"Authorization": "Bearer "},
        {"X-API-Key": ""},
        {"X-API-Key": "é".encode("latin-1")},
        {"Authorization": "Bearer x", "X-API-Key": KEY},
    ],
)
def test_who_has_none_is_refused_before_the_body_is_read(guarded, headers):
    answer = guarded.post("/segment", content=b"no image", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"].endswith("#problem-api-key")


@pytest.mark.parametrize(
    "path", ["/models", "/metrics", "/v2", "/v2/models", "/jobs/x", "/nothing"]
)
def test_everything_else_is_closed(guarded, path):
    assert guarded.get(path).status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/v2/health/live", "/web/app.js"]
)
def test_the_page_the_documentation_and_health_need_no_key(guarded, path):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/web/../models", "/web/%2e%2e/models", "/docs/", "/Models"])
def test_no_spelling_of_a_path_goes_around_the_gate(guarded, path):
    assert guarded.get(path).status_code in (401, 404)


def test_the_owner_of_a_key_is_known_by_name():
    gate = KeyGate(None, {"ann": HASH, "bob": hash_key("other")})
    assert gate.owner_of(KEY) == "ann"
    assert gate.owner_of("other") == "bob"
    assert gate.owner_of("") is None


@pytest.mark.parametrize(
    "value", ["ann", "ann=abc", pytest.param(f"ann={KEY}", id="a key that was just made")]
)
def test_a_key_in_place_of_its_hash_is_refused_at_start(value):
    with pytest.raises(ValueError, match="api_keys"):
        Settings(api_keys=value)
