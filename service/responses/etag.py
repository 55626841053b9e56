"""ETag and If-None-Match for `POST /segment`.

An answer depends only on the image's bytes, the model's weights, the options and the format, so its
tag is known before the network runs. RFC 9110 (13.1.2) gives 412 to methods other than GET
when a tag matches; `/segment` changes nothing on the server and is a POST only to carry an image,
so it answers 304, as for GET. `*` matches any stored representation; there is none, so it never
matches. Tags are weak: request ids and timings in an answer differ from one to the next.
"""

from __future__ import annotations

import hashlib
import json

from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.responses.negotiate import MediaType
from maskzoo.service.schemas import SegmentOptions


def tag_of(data: bytes, model: LoadedModel, options: SegmentOptions, media_type: MediaType) -> str:
    """Return the entity tag of an answer."""
    chosen = options.model_dump(mode="json", exclude={"model", "format", "variant"})
    facts = [model.name, model.manifest.weights_sha256, str(media_type), chosen]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(hashlib.sha256(data).digest())
    return f'W/"{digest.hexdigest()[:32]}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether the client holds this answer already, by weak comparison."""
    given = [part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")]
    return tag.removeprefix("W/") in given
