"""The environment of Ray's proxies.

By default Ray's proxy is one Python process a node, which unpickles each body: 8 ms a request and
about 150 requests a second. With these variables each node runs HAProxy, which speaks to the
replicas directly. Ray reads them when its processes start.
"""

from __future__ import annotations

import math

from maskzoo.service.replicas.options import DRAIN_S
from maskzoo.service.server import LAST_S
from maskzoo.service.settings import Settings

_CLIENT_S = 120
"""How long a proxy waits for a client that neither sends nor reads; Ray's own limit is an hour."""


def proxy_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that all processes of Ray should have."""
    longest_s = math.ceil(settings.request_timeout_s)
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # A node that is cut off sends no end of its connections: what waits for it ends here.
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": str(longest_s + LAST_S),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(_CLIENT_S),
        # After a change of replicas the old worker of HAProxy still has requests.
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(longest_s + DRAIN_S + LAST_S),
        # Only what was never sent is sent to another replica: a refusal is the client's to repeat.
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure",
        "RAY_SERVE_HAPROXY_RETRIES": "3",
        "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "2",
        "RAY_SERVE_HAPROXY_OBSERVE_MARK_DOWN_ENABLED": "1",
        "RAY_SERVE_HAPROXY_OBSERVE_ERROR_LIMIT": "1",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "2s",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(DRAIN_S),
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "2",
    }
