"""`MaskOrigin`: what a mask was made from, kept in the mask's own PNG.

The record is the first chunk after the header, a tEXt chunk with the key `maskzoo:origin`. It holds
the sha256 of the rest of the file too, so that a mask edited by a program that copies text chunks
is not taken for the mask that was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from maskzoo.models.images.draw import text_chunk
from maskzoo.models.labels import LabelSet

_KEY = "maskzoo:origin"
_START = 8 + 25
"""Bytes of the PNG's signature and header, both of fixed size."""


@dataclass(frozen=True)
class MaskOrigin:
    """What a mask was made from.

    Args:
        weights_sha256: of the bundle.
        labels_sha256: of the names and colours of the classes, and of the background.
        options: how the image was predicted, as JSON.
        image_sha256: of the image file; empty before the image is known.
    """

    weights_sha256: str
    labels_sha256: str
    options: str
    image_sha256: str = ""

    def of_image(self, image: Path | bytes) -> MaskOrigin:
        """Return the origin of the mask of that image, a file or its content."""
        if isinstance(image, bytes):
            return replace(self, image_sha256=hashlib.sha256(image).hexdigest())
        with image.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
        return replace(self, image_sha256=digest.hexdigest())

    def digest(self) -> str:
        """Return the sha256 of the whole record; an overlay carries it as its comment."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()

    def difference(self, other: MaskOrigin) -> str | None:
        """Name the first thing that differs, as "other image"; None if the two are equal."""
        names = {
            "other image": self.image_sha256 != other.image_sha256,
            "other model": self.weights_sha256 != other.weights_sha256,
            "other labels": self.labels_sha256 != other.labels_sha256,
            "other options": self.options != other.options,
        }
        return next((name for name, differs in names.items() if differs), None)


def origin_of_model(
    weights_sha256: str, labels: LabelSet, options: Mapping[str, str | float | None]
) -> MaskOrigin:
    """Return what the masks of one run have in common.

    Args:
        options: whatever changes the mask, by name.
    """
    facts = json.dumps([labels.names, labels.colours, labels.background]).encode()
    digest = hashlib.sha256(facts).hexdigest()
    return MaskOrigin(weights_sha256, digest, json.dumps(options, sort_keys=True))


def stamp(png: bytes, origin: MaskOrigin) -> bytes:
    """Return the PNG with its origin in a text chunk."""
    record = {**asdict(origin), "mask_sha256": hashlib.sha256(png).hexdigest()}
    return png[:_START] + text_chunk(_KEY, json.dumps(record)) + png[_START:]


def read_origin(mask: Path) -> MaskOrigin | None:
    """Return the origin of a mask file; None if it has none, or is not as it was written."""
    data = mask.read_bytes()
    size = int.from_bytes(data[_START : _START + 4], "big")
    end = _START + 12 + size  # a chunk is its length, its kind, its data and a checksum
    key, _, text = data[_START + 4 : end - 4].partition(b"\0")
    if key != b"tEXt" + _KEY.encode():
        return None
    try:
        record = json.loads(text)
        written = record.pop("mask_sha256")
        origin = MaskOrigin(**record)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    rest = hashlib.sha256(data[:_START])
    rest.update(data[end:])
    return origin if rest.hexdigest() == written else None
