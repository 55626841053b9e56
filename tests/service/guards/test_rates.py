"""Token buckets, and who has which."""

from __future__ import annotations

import pytest

from maskzoo.service.errors import RateLimitError
from maskzoo.service.guards.rates import TokenBuckets, client_of


def test_a_burst_is_let_in_and_then_what_the_rate_allows():
    now = [0.0]
    buckets = TokenBuckets(0.5, 3, clock=lambda: now[0])
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(RateLimitError, match=r"0\.5 requests a second") as refused:
        buckets.take("a")
    assert refused.value.retry_after_s == 2
    buckets.take("b")
    now[0] = 1.9
    with pytest.raises(RateLimitError) as refused:
        buckets.take("a")
    assert refused.value.retry_after_s == 1
    now[0] = 2.0
    buckets.take("a")
    now[0] = 1000.0
    for _ in range(3):
        buckets.take("a")
    with pytest.raises(RateLimitError):
        buckets.take("a")


def test_who_waits_as_long_as_it_was_told_is_let_in():
    now = [0.0]
    buckets = TokenBuckets(0.3, 1, clock=lambda: now[0])
    for _ in range(20):
        buckets.take("a")
        with pytest.raises(RateLimitError) as refused:
            buckets.take("a")
        now[0] += refused.value.retry_after_s


def test_a_million_addresses_take_no_more_room_than_ten_thousand():
    buckets = TokenBuckets(1, 1)
    for number in range(30_000):
        buckets.take(str(number))
    assert len(buckets._buckets) == 10_000


@pytest.mark.parametrize(
    ("scope", "client"),
    [
        ({"client": ("192.0.2.7", 5), "state": {"api_key": "ann"}}, "key ann"),
        ({"client": ("192.0.2.7", 5)}, "192.0.2.7"),
        ({"client": ("2001:db8:1:2:3:4:5:6", 5)}, "2001:db8:1:2::/64"),
        ({"client": ("fe80::1%eth0", 5)}, "fe80::/64"),
        ({"client": ("::ffff:192.0.2.7", 5)}, "192.0.2.7"),
        ({"client": None}, "local"),
        ({"client": ("testclient", 5)}, "testclient"),
    ],
)
def test_a_client_is_its_key_or_its_address(scope, client):
    assert client_of(scope) == client


def test_over_http_too_much_is_a_429_and_reading_is_free(start, png):
    client = start(rate_limit=0.001, rate_burst=2)
    for _ in range(2):
        assert client.post("/segment", content=png).status_code == 200
    refused = client.post("/segment", content=png)
    assert refused.status_code == 429
    assert refused.json()["type"].endswith("#problem-rate-limit")
    assert 900 < int(refused.headers["retry-after"]) <= 1000
    assert refused.headers["x-request-id"] == refused.json()["request_id"]
    assert client.post("/jobs", content=png).status_code == 429
    for path in ("/models", "/healthz", "/readyz", "/"):
        assert client.get(path).status_code == 200
    text = client.get("/metrics").text
    assert 'maskzoo_rejected_total{reason="rate"} 2.0' in text


def test_without_a_limit_nobody_is_counted(start, png):
    client = start()
    for _ in range(30):
        assert client.post("/segment", content=png).status_code == 200
