"""Answers that are pictures."""

from __future__ import annotations

import json

from models.inference.draw import encode_indexed_png
from service.responses.answer import Answer


def encode_indexed(answer: Answer) -> bytes:
    """Return a palette PNG whose pixel values are class ids, with its story in text chunks."""
    text = {
        "Software": "maskzoo",
        "maskzoo:model": answer.model,
        "maskzoo:request-id": answer.request_id,
        "maskzoo:classes": json.dumps(dict(enumerate(answer.labels.names))),
    }
    return encode_indexed_png(answer.runs.labels, answer.labels, text)
