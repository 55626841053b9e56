"""Requests that two readers may understand differently are refused.

A proxy in front of the service may read the first of two values and the service the last: another
key, another length of the body, another model. So what has one value is given once: the headers
that the service reads, and each option of the query. Members of JSON and fields of forms are
checked where they are parsed.
"""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from maskzoo.models.errors import shown
from maskzoo.service.errors import BadRequestError
from maskzoo.service.problems import problem_of

_SINGLE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"inference-header-content-length",
        b"transfer-encoding",
        b"x-api-key",
        b"x-request-timeout-seconds",
    }
)


class AmbiguityGate:
    """ASGI middleware that answers ambiguous requests with 400 and closes their connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        mistake = find_ambiguity(scope) if scope["type"] == "http" else None
        if mistake is None:
            await self.app(scope, receive, send)
            return
        answer = problem_of(BadRequestError(mistake)).response(
            path=scope["path"], request_id=scope["state"]["request_id"]
        )
        answer.headers["Connection"] = "close"  # where the next request begins is not known
        await answer(scope, receive, send)


def find_ambiguity(scope: Scope) -> str | None:
    """Return what is ambiguous in a request, or None."""
    names = Counter(name.lower() for name, _ in scope["headers"])
    for name in sorted(_SINGLE & names.keys()):
        if names[name] > 1:
            return f"the header {name.decode()} is given {names[name]} times; send it once"
    if b"content-length" in names and b"transfer-encoding" in names:
        return "the body has a content-length and a transfer-encoding; send one of them"
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    for option, count in Counter(option for option, _ in query).items():
        if count > 1:
            return f"the option {shown(option)} is given {count} times in the query; give it once"
    return None
