"""API keys: authentication of clients, if the operator set keys.

Keys are long and random, so their plain SHA-256 is safe to store: `MASKZOO_API_KEYS` holds
`name=sha256` pairs, and `maskzoo key` makes both halves. A client sends its key as
`Authorization: Bearer …` or `X-API-Key: …`. Health, the page and the documentation need none, and
the admin routes have their own token.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from maskzoo.service.errors import ApiKeyError
from maskzoo.service.problems import problem_of

_OPEN = ("/", "/docs", "/docs/problems.json", "/openapi.json", "/healthz", "/readyz")
_OPEN_BELOW = ("/web/", "/v2/health/", "/admin/")
_PREFIX = "mz_"


def new_key() -> tuple[str, str]:
    """Return a new key and its hash; the server stores only the hash."""
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, hash_key(key)


def hash_key(key: str) -> str:
    """Return the hash of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class KeyGate:
    """ASGI middleware that requires a key and puts its name into `scope["state"]["api_key"]`.

    Args:
        hashes: of the keys, by the names of their owners.
    """

    def __init__(self, app: ASGIApp, hashes: Mapping[str, str]) -> None:
        self.app = app
        self.hashes = dict(hashes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and not is_open(scope["path"]):
            owner = self.owner_of(_key_of(Headers(scope=scope)))
            if owner is None:
                answer = problem_of(ApiKeyError()).response(
                    path=scope["path"], request_id=scope["state"]["request_id"]
                )
                await answer(scope, receive, send)
                return
            scope["state"]["api_key"] = owner
        await self.app(scope, receive, send)

    def owner_of(self, key: str) -> str | None:
        """Return the name of a key; every hash is compared, so that the time discloses nothing."""
        given = hash_key(key)
        found = None
        for owner, known in self.hashes.items():
            if hmac.compare_digest(given, known):
                found = owner
        return found


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def _key_of(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
