"""The environment of Ray's proxies."""

from __future__ import annotations

import pytest

from maskzoo.service.replicas.proxies import proxy_environment
from maskzoo.service.settings import Settings


def test_a_proxy_waits_longer_than_a_request_may_take() -> None:
    found = proxy_environment(Settings(request_timeout_s=90.5))
    assert found["RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S"] == "96"
    drain_s = int(found["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"])
    assert int(found["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"]) > 91 + drain_s


def test_only_what_was_not_sent_is_sent_to_another_replica() -> None:
    assert proxy_environment(Settings())["RAY_SERVE_HAPROXY_RETRY_ON"] == "conn-failure"


def test_ray_knows_each_variable() -> None:
    constants = pytest.importorskip("ray.serve._private.constants", reason="needs the extra ray")
    with open(constants.__file__, encoding="utf-8") as file:
        text = file.read()
    assert [name for name in proxy_environment(Settings()) if f'"{name}"' not in text] == []
