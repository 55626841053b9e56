"""Rate limits: a token bucket for each API key or, without keys, each address.

A bucket holds up to `burst` tokens and fills by `per_s`; a request that sends work (POST) takes
one. Behind a proxy the address is the proxy's, unless the setting `proxies` names it. The front
processes of one service ask the same buckets (`service.fronts`); services count for themselves.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from maskzoo.service.errors import RateLimitError
from maskzoo.service.problems import problem_of

_MAX_CLIENTS = 10_000  # buckets that are kept; beyond, the least recently used is dropped
_IPV6_PREFIX = 64  # bits; one household has a network of this size


class TokenBuckets:
    """The buckets of all clients.

    Args:
        per_s: tokens added per second.
        burst: capacity of a bucket.
        clock: seconds.
    """

    def __init__(
        self, per_s: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_s = per_s
        self.burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    async def admit(self, client: str) -> None:
        """Take one token, as `Rates`."""
        self.take(client)

    def take(self, client: str) -> None:
        """Take one token.

        Raises:
            RateLimitError: the bucket is empty; the error says when it will not be.
        """
        now = self._clock()
        tokens, before = self._buckets.get(client, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - before) * self.per_s)
        is_allowed = tokens >= 1
        self._buckets[client] = (tokens - is_allowed, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if not is_allowed:
            raise RateLimitError(self.per_s, max(1, math.ceil((1 - tokens) / self.per_s)))


class Rates(Protocol):
    """Whoever counts the requests of clients."""

    async def admit(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimitError: it is one too many.
        """
        ...


class RateGate:
    """ASGI middleware that refuses POST requests of clients that send too many.

    Args:
        refused: called with the slug of the problem.
    """

    def __init__(self, app: ASGIApp, rates: Rates, refused: Callable[[str], None]) -> None:
        self.app = app
        self.rates = rates
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and scope["method"] == "POST":
            try:
                await self.rates.admit(client_of(scope))
            except RateLimitError as error:
                problem = problem_of(error)
                self.refused(problem.kind.slug)
                answer = problem.response(
                    path=scope["path"], request_id=scope["state"]["request_id"]
                )
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)


def client_of(scope: Scope) -> str:
    """Return the identity of the client: its key's name, else its address or IPv6 network."""
    owner = scope.get("state", {}).get("api_key")
    if owner:
        return f"key {owner}"
    host = (scope.get("client") or ("local", 0))[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
