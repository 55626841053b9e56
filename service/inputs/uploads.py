"""`Upload` and `Submission`: the images of a request, and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Upload:
    """One received image.

    Args:
        data: the encoded bytes; empty for a `url`.
        name: the client's file name, for messages only; never a path to anything.
        url: where to fetch the image; None if it was sent.
    """

    data: bytes
    name: str = "image"
    url: str | None = None


@dataclass(frozen=True)
class Submission:
    """The images of one request, at least one, and their common options.

    Args:
        fields: the other fields or members of the body: options.
        is_many: whether they were sent as a list, even of a single image.
    """

    uploads: list[Upload]
    fields: Mapping[str, Any] = field(default_factory=dict)
    is_many: bool = False
