"""What each answer carries, whatever was asked."""

from __future__ import annotations

import re

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from maskzoo.service.guards.security import PROBES, RequestGuard

PATHS = ["/", "/docs", "/healthz", "/models", "/nowhere", "/web/app.js", "/segment"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_safe_to_open_in_a_browser(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"


def test_a_request_id_is_made_where_none_was_sent(client):
    ids = {client.get("/healthz").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9a-f]{16}", value) for value in ids)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1.2_3", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("a\"b'", False)],
)
def test_a_request_id_of_the_client_is_kept_only_if_harmless(client, given, kept):
    answer = client.get("/healthz", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is kept


def test_other_origins_are_not_let_in_by_default(client):
    answer = client.get("/models", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_an_origin_that_the_operator_named_is_let_in(start):
    client = start(cors_origins="https://mine.example")
    allowed = client.get("/models", headers={"Origin": "https://mine.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://mine.example"
    other = client.get("/models", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_request_is_logged_once(client, caplog):
    with caplog.at_level("INFO"):
        client.get("/healthz", headers={"X-Request-ID": "find-me"})
    lines = [line for line in caplog.messages if "find-me" in line]
    assert len(lines) == 1
    assert "path='/healthz' status=200" in lines[0]


def test_probes_are_not_observed_whoever_answers_them():
    seen = []

    async def refuse(scope, receive, send):
        await PlainTextResponse("away", 503)(scope, receive, send)

    guard = RequestGuard(refuse, observe=lambda *facts: seen.append(facts[:3]))
    client = TestClient(guard)
    for path in sorted(PROBES):
        assert client.get(path).status_code == 503
    assert client.get("/models").status_code == 503
    assert seen == [("other", "", 503)]
