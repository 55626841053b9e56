"""One answer as `multipart/mixed`: its JSON, then its PNG."""

from __future__ import annotations

from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.documents import encode_json
from maskzoo.service.responses.images import encode_indexed
from maskzoo.service.responses.multipart import Part, attachment, write_parts
from maskzoo.service.schemas import SegmentOptions


def encode_mixed(answer: Answer, options: SegmentOptions) -> bytes:
    """Return one image's JSON and indexed PNG; the JSON holds masks only if they were requested."""
    if "masks" not in options.model_fields_set:
        options = options.model_copy(update={"masks": "none"})
    return write_parts(
        [
            Part("application/json", encode_json(answer, options), attachment("result", "json")),
            Part("image/png", encode_indexed(answer), attachment("mask", "png")),
        ]
    )
