"""The outermost middleware: request ids, security headers, and a last handler of exceptions."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskzoo.service.errors import StoppedError
from maskzoo.service.guards.rates import client_of
from maskzoo.service.observability.logs import request_id as logged_request_id
from maskzoo.service.problems import problem_of

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
_CLIENT_GONE = 499
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The pages load everything from this server; blob: and data: are images that they draw.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


PROBES = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
"""Paths of probes. They are logged and not counted: a 503 while models load refuses no work."""

Observe = Callable[[str, str, int, float], None]
"""Called with the route, model, status and seconds of each request that is not a probe."""


class RequestGuard:
    """ASGI middleware around everything else.

    A client may send its own `X-Request-ID` (letters, digits, `._-`, at most 64); any other value
    is replaced. The id is in `scope["state"]["request_id"]`, in each answer and in each log line.

    A server cancels a request when it ends without waiting for it; the client then gets a 503.

    While the service leaves, each connection is closed behind its answer: a kept one would still
    bring requests when the server closes it.

    Args:
        observe: called when a request is over.
        is_leaving: whether the service is about to stop.
    """

    def __init__(
        self,
        app: ASGIApp,
        observe: Observe | None = None,
        is_leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        self.app = app
        self.observe = observe
        self.is_leaving = is_leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        logged_request_id.set(request_id)
        started = time.perf_counter()
        status = 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            await self.app(scope, receive, send_guarded)
        except ClientDisconnect:  # while the answer was sent
            status = status or _CLIENT_GONE
        except asyncio.CancelledError:
            if not status:  # else the server cuts the connection
                stopped = StoppedError("the server is stopping; send the request again")
                await _answer(stopped, scope, receive, send_guarded)
        except Exception as error:
            logger.exception("event=crash request_id=%s path=%r", request_id, scope["path"])
            if status:
                raise  # the answer has started: the connection can only be cut
            await _answer(error, scope, receive, send_guarded)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _add_headers(self, headers: MutableHeaders, request_id: str) -> None:
        headers[REQUEST_ID] = request_id
        if self.is_leaving():
            headers["Connection"] = "close"
        for name, value in SAFE_HEADERS.items():
            headers.setdefault(name, value)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request and log it."""
        if self.observe is not None and scope["path"] not in PROBES:
            model = scope["state"].get("model", "")
            self.observe(_route(scope), model, status, seconds)
        logger.info(
            "event=request method=%s path=%r status=%d duration_ms=%.1f client=%r request_id=%s",
            scope["method"],
            scope["path"],
            status,
            1000 * seconds,
            client_of(scope),
            scope["state"]["request_id"],
        )


async def _answer(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    problem = problem_of(error)
    answer = problem.response(path=scope["path"], request_id=scope["state"]["request_id"])
    await answer(scope, receive, send)


def _route(scope: Scope) -> str:
    """Return the pattern of the route, never the path that the client made up."""
    pattern = getattr(scope.get("route"), "path", None)
    if pattern is not None:
        return str(pattern)
    return "/web" if scope["path"].startswith("/web/") else "other"


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if _SAFE_ID.fullmatch(given) else secrets.token_hex(8)
