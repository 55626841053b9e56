"""What Ray's own HTTP layer needs of ours, for answers to be those of `maskzoo serve`.

Ray adds an `X-Request-ID` to each answer, beside ours. And it reads the time limit of a client as
we do, so the two would end at the same moment, Ray with a 408 of plain text.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskzoo.service.guards.security import REQUEST_ID
from maskzoo.service.scheduling.lifetime import TIMEOUT_HEADER

_EARLIER_S = 0.25
"""How much earlier than Ray's limit ours is; of short limits, a half."""


class BehindRay:
    """ASGI middleware around the application of a replica."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        known_id = Headers(scope=scope).get(REQUEST_ID)  # Ray gives one where the client did not
        _shorten_limit(MutableHeaders(scope=scope))

        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get(REQUEST_ID) == known_id:
                    del headers[REQUEST_ID]
            await send(message)

        await self.app(scope, receive, send_once)


def _shorten_limit(headers: MutableHeaders) -> None:
    try:
        limit_s = float(headers.get(TIMEOUT_HEADER, ""))
    except ValueError:
        return  # refused by the service
    if limit_s > 0:
        headers[TIMEOUT_HEADER] = str(max(limit_s / 2, limit_s - _EARLIER_S))
