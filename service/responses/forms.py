"""The table of the forms of an answer, and the choice of one for a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.responses.answer import Answer
from service.responses.documents import encode_json
from service.responses.images import encode_indexed
from service.responses.negotiate import MediaType, best_offer
from service.schemas import SegmentOptions


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


FORMS: tuple[Form, ...] = (
    Form("png", MediaType("image", "png"), "png", lambda answer, _: encode_indexed(answer)),
    Form("json", MediaType("application", "json"), "json", encode_json, True),
)


def choose_form(accept: str | None, options: SegmentOptions) -> Form:
    """Choose by `?format=`, else by the Accept header.

    Raises:
        NotAcceptableError: the Accept header excludes every form.
    """
    if options.format is not None:
        return next(form for form in FORMS if form.name == options.format)
    return FORMS[best_offer(accept, [form.media_type for form in FORMS])]
