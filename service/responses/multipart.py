"""Multipart bodies of answers (RFC 2046, section 5.1)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """One part of a multipart body."""

    media_type: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def write_parts(parts: Sequence[Part]) -> bytes:
    """Return a multipart body; `content_type` gives its boundary."""
    boundary = secrets.token_hex(16).encode()  # 128 random bits, which no part contains by chance
    pieces = []
    for part in parts:
        headers = {
            "Content-Type": part.media_type,
            "Content-Length": str(len(part.data)),
            **part.headers,
        }
        head = "".join(f"{key}: {value}\r\n" for key, value in headers.items()).encode("ascii")
        pieces += [b"--", boundary, b"\r\n", head, b"\r\n", part.data, b"\r\n"]
    return b"".join([*pieces, b"--", boundary, b"--\r\n"])


def content_type(body: bytes) -> str:
    """Return the media type of a body that `write_parts` wrote."""
    boundary = body[2 : body.index(b"\r\n")].decode("ascii")
    return f"multipart/mixed; boundary={boundary}"


def attachment(name: str, suffix: str) -> dict[str, str]:
    """Return the header with the names of a part and of its file."""
    return {"Content-Disposition": f'attachment; name="{name}"; filename="{name}.{suffix}"'}
