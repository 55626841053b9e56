"""The table of answer formats, and the choice of one for a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from maskzoo.service.errors import BadParameterError
from maskzoo.service.responses import archive, documents, geotiff, images, mixed
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.negotiate import MediaType, best_offer
from maskzoo.service.schemas import SegmentOptions


@dataclass(frozen=True)
class Form:
    """One way to write an answer.

    Args:
        name: what `?format=` calls it.
        media_type: what Accept calls it.
        suffix: end of the file's name.
        encode: pure function from an answer to bytes.
        needs_confidence: whether the network's confidence has to be worked out.
    """

    name: str
    media_type: MediaType
    suffix: str
    encode: Callable[[Answer, SegmentOptions], bytes]
    needs_confidence: bool = False

    @property
    def variant(self) -> str | None:
        """What `?variant=` calls it, for pictures."""
        return self.media_type.params.get("variant")


def _png(variant: str) -> MediaType:
    return MediaType("image", "png", {"variant": variant})


# In order of preference: a client without a wish gets the first.
FORMS: tuple[Form, ...] = (
    Form("png", _png("indexed"), "png", lambda answer, _: images.encode_indexed(answer)),
    Form("png", _png("color"), "png", lambda answer, _: images.encode_color(answer)),
    Form("png", _png("overlay"), "png", images.encode_overlay),
    Form(
        "png", _png("confidence"), "png", lambda answer, _: images.encode_confidence(answer), True
    ),
    Form("png", _png("cutout"), "png", lambda answer, _: images.encode_cutout(answer)),
    Form("json", MediaType("application", "json"), "json", documents.encode_json, True),
    Form(
        "geojson", MediaType("application", "geo+json"), "geojson", documents.encode_geojson, True
    ),
    Form(
        "npz",
        MediaType("application", "x-npz"),
        "npz",
        lambda answer, _: archive.encode_npz(answer),
        True,
    ),
    Form("tiff", MediaType("image", "tiff"), "tif", lambda answer, _: geotiff.encode_tiff(answer)),
    Form("mixed", MediaType("multipart", "mixed"), "mime", mixed.encode_mixed, True),
)


def choose_form(accept: str | None, options: SegmentOptions) -> Form:
    """Choose by `?format=` and `?variant=`, else by the Accept header.

    Raises:
        BadParameterError: a variant of something that is no picture.
        NotAcceptableError: the Accept header excludes every form.
    """
    if options.variant is not None and options.format not in (None, "png"):
        raise BadParameterError([f"variant: only for format=png, not {options.format!r}"])
    offers = [
        form
        for form in FORMS
        if options.format in (None, form.name) and options.variant in (None, form.variant)
    ]
    if options.format is not None:
        return offers[0]
    return offers[best_offer(accept, [form.media_type for form in offers])]


def choose_form_of_many(accept: str | None, options: SegmentOptions) -> Form:
    """Choose the form of each answer to several images.

    JSON and GeoJSON come in one array, and everything else as the parts of multipart/mixed; an
    Accept header can choose between the two, and `?format=` and `?variant=` what is in them.

    Raises:
        BadParameterError: a variant of something that is no picture.
        NotAcceptableError: the Accept header excludes both.
    """
    if options.format == "mixed":  # one part for each image
        return FORMS[0]
    if options.format is not None or options.variant is not None:
        return choose_form(None, options)
    by_name = {form.name: form for form in FORMS}
    offers = [by_name["json"].media_type, by_name["mixed"].media_type]
    return by_name["json"] if best_offer(accept, offers) == 0 else FORMS[0]
