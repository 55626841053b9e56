"""Outcomes of several images, as parts of a multipart body or members of a JSON array.

A failed image is represented by its problem document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from maskzoo.service.responses.multipart import Part, attachment, write_parts


@dataclass(frozen=True)
class ImageOutcome:
    """The answer to one image of several, or its problem.

    Args:
        name: the client's name of it.
        media_type: of the body.
        body: the answer, or the problem document.
        suffix: end of a file name for it.
        headers: further headers of its part.
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


def write_array(outcomes: Sequence[ImageOutcome]) -> bytes:
    """Return a JSON array with `{name, status, result}` or `{name, status, problem}` of each."""
    return b"[" + b",".join(_member(outcome) for outcome in outcomes) + b"]"


def write_outcomes(outcomes: Sequence[ImageOutcome]) -> bytes:
    """Return a multipart body with one part for each image, in the order of the request."""
    parts = []
    for index, outcome in enumerate(outcomes):
        headers = {
            **attachment(f"mask-{index}", outcome.suffix),
            "Maskzoo-Index": str(index),
            "Maskzoo-Name": quote(outcome.name),
            "Maskzoo-Status": str(outcome.status),
            **outcome.headers,
        }
        parts.append(Part(outcome.media_type, outcome.body, headers))
    return write_parts(parts)


def _member(outcome: ImageOutcome) -> bytes:
    assert outcome.is_json, "an array holds JSON"
    head: dict[str, Any] = {"name": outcome.name, "status": outcome.status}
    key = b"result" if outcome.status == 200 else b"problem"
    return json.dumps(head)[:-1].encode() + b', "' + key + b'": ' + outcome.body + b"}"
