"""Multipart answers (RFC 2046, section 5.1), and JSON arrays of outcomes.

One image as `multipart/mixed` is its JSON and its PNG. Several images are one part each, or the
members of one JSON array; an image that failed is a problem document in its place.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.documents import encode_json
from maskzoo.service.responses.images import encode_indexed
from maskzoo.service.schemas import SegmentOptions


@dataclass(frozen=True)
class Part:
    """One part of a multipart body."""

    media_type: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one image of several.

    Args:
        name: the client's name of it.
        media_type: of the body.
        body: the answer, or the problem document.
        suffix: end of a file name for it.
        headers: more about it, for its part.
    """

    name: str
    status: int
    media_type: str
    body: bytes
    suffix: str = "json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_json(self) -> bool:
        """Whether the body can be a member of a JSON document."""
        return self.media_type.endswith("json")


def encode_mixed(answer: Answer, options: SegmentOptions) -> bytes:
    """Return one image's JSON and indexed PNG; the JSON holds masks only where they were named."""
    if "masks" not in options.model_fields_set:
        options = options.model_copy(update={"masks": "none"})
    return write_parts(
        [
            Part("application/json", encode_json(answer, options), _named("result", "json")),
            Part("image/png", encode_indexed(answer), _named("mask", "png")),
        ]
    )


def write_array(outcomes: Sequence[Outcome]) -> bytes:
    """Return a JSON array with `{name, status, result}` or `{name, status, problem}` of each."""
    return b"[" + b",".join(_member(outcome) for outcome in outcomes) + b"]"


def write_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Return one part for each image, in the order of the request."""
    parts = []
    for index, outcome in enumerate(outcomes):
        headers = {
            **_named(f"mask-{index}", outcome.suffix),
            "Maskzoo-Index": str(index),
            "Maskzoo-Name": quote(outcome.name),
            "Maskzoo-Status": str(outcome.status),
            **outcome.headers,
        }
        parts.append(Part(outcome.media_type, outcome.body, headers))
    return write_parts(parts)


def write_parts(parts: Sequence[Part]) -> bytes:
    """Return a multipart body; `content_type` tells its boundary."""
    boundary = secrets.token_hex(16).encode()  # 128 random bits: in no part but by its will
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


def _member(outcome: Outcome) -> bytes:
    assert outcome.is_json, "an array holds JSON"
    head: dict[str, Any] = {"name": outcome.name, "status": outcome.status}
    key = b"result" if outcome.status == 200 else b"problem"
    return json.dumps(head)[:-1].encode() + b', "' + key + b'": ' + outcome.body + b"}"


def _named(name: str, suffix: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; name="{name}"; filename="{name}.{suffix}"'}
