"""Answer formats: the table of them, and the choice of one for a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from maskzoo.service.errors import BadParameterError
from maskzoo.service.responses import archive, documents, geotiff, images, mixed
from maskzoo.service.responses.answer import Answer, AnswerNeeds
from maskzoo.service.responses.negotiate import MediaType, best_offer
from maskzoo.service.schemas import SegmentOptions


@dataclass(frozen=True)
class AnswerFormat(AnswerNeeds):
    """One way to write an answer.

    Args:
        name: in `?format=`.
        media_type: in the Accept header.
        suffix: end of the file's name.
        encode: pure function from an answer to bytes.
    """

    name: str
    media_type: MediaType
    suffix: str
    encode: Callable[[Answer, SegmentOptions], bytes]

    @property
    def variant(self) -> str | None:
        """Name in `?variant=`, for PNG."""
        return self.media_type.params.get("variant")


def _png(variant: str) -> MediaType:
    return MediaType("image", "png", {"variant": variant})


# In order of preference; the first is the default.
FORMATS: tuple[AnswerFormat, ...] = (
    AnswerFormat("png", _png("indexed"), "png", lambda answer, _: images.encode_indexed(answer)),
    AnswerFormat("png", _png("color"), "png", lambda answer, _: images.encode_color(answer)),
    AnswerFormat("png", _png("overlay"), "png", images.encode_overlay, needs_pixels=True),
    AnswerFormat(
        "png",
        _png("confidence"),
        "png",
        lambda answer, _: images.encode_confidence(answer),
        needs_confidence=True,
    ),
    AnswerFormat(
        "png",
        _png("cutout"),
        "png",
        lambda answer, _: images.encode_cutout(answer),
        needs_pixels=True,
    ),
    AnswerFormat(
        "json",
        MediaType("application", "json"),
        "json",
        documents.encode_json,
        needs_confidence=True,
        bytes_per_run=documents.RUN_BYTES,
        bytes_per_corner=documents.CORNER_BYTES,
        follows_masks=True,
    ),
    AnswerFormat(
        "geojson",
        MediaType("application", "geo+json"),
        "geojson",
        documents.encode_geojson,
        needs_confidence=True,
        bytes_per_corner=documents.CORNER_BYTES,
    ),
    AnswerFormat(
        "npz",
        MediaType("application", "x-npz"),
        "npz",
        lambda answer, _: archive.encode_npz(answer),
        needs_confidence=True,
        takes_probabilities=True,
    ),
    AnswerFormat(
        "tiff", MediaType("image", "tiff"), "tif", lambda answer, _: geotiff.encode_tiff(answer)
    ),
    AnswerFormat(
        "mixed",
        MediaType("multipart", "mixed"),
        "mime",
        mixed.encode_mixed,
        needs_confidence=True,
        bytes_per_run=documents.RUN_BYTES,
        bytes_per_corner=documents.CORNER_BYTES,
        follows_masks=True,
    ),
)


def choose_format(accept: str | None, options: SegmentOptions) -> AnswerFormat:
    """Choose by `?format=` and `?variant=`, else by the Accept header.

    Raises:
        BadParameterError: a variant of something that is not a PNG.
        NotAcceptableError: the Accept header excludes every format.
    """
    if options.variant is not None and options.format not in (None, "png"):
        raise BadParameterError([f"variant: only for format=png, not {options.format!r}"])
    offers = [
        offer
        for offer in FORMATS
        if options.format in (None, offer.name) and options.variant in (None, offer.variant)
    ]
    if options.format is not None:
        return offers[0]
    return offers[best_offer(accept, [offer.media_type for offer in offers])]


def choose_format_of_many(accept: str | None, options: SegmentOptions) -> AnswerFormat:
    """Choose the format of each answer to several images.

    JSON and GeoJSON are returned in one array, everything else as the parts of multipart/mixed. An
    Accept header chooses between the two, `?format=` and `?variant=` their contents.

    Raises:
        BadParameterError: a variant of something that is not a PNG.
        NotAcceptableError: the Accept header excludes both.
    """
    if options.format == "mixed":  # one part for each image
        return FORMATS[0]
    if options.format is not None or options.variant is not None:
        return choose_format(None, options)
    by_name = {one.name: one for one in FORMATS}
    offers = [by_name["json"].media_type, by_name["mixed"].media_type]
    return by_name["json"] if best_offer(accept, offers) == 0 else FORMATS[0]
