"""Errors over HTTP: RFC 9457 problem documents.

`problem_of` is the only place that gives a status code to an error. Each document has the members
of the RFC (`type`, `title`, `status`, `detail`, `instance`) and two of ours: `error`, the detail
again for clients of the Open Inference Protocol, and `request_id`.
RFC: https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from maskzoo.models import errors as zoo
from maskzoo.models.errors import shown
from maskzoo.models.memory import is_out_of_memory
from maskzoo.service import errors

_MAX_TEXT = 1000  # characters of a detail
_MAX_ITEMS = 100  # of a list of names or mistakes

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """One row of the table of problems: `/docs#problem-<slug>` explains it."""

    slug: str
    status: int
    title: str


INTERNAL = Kind("internal", 500, "the server made a mistake")
BAD_PARAMETER = Kind("bad-parameter", 422, "an option of the request is wrong")
UNKNOWN_MODEL = Kind("unknown-model", 404, "no such model")
OUT_OF_MEMORY = Kind("out-of-memory", 507, "the image does not fit into memory")

# The first row that an error is an instance of describes it: special before general.
KINDS: dict[type[zoo.ZooError], Kind] = {
    zoo.ImageTooLargeError: Kind("too-many-pixels", 413, "the image has too many pixels"),
    zoo.ImageDamagedError: Kind("image-damaged", 400, "the image is truncated or corrupt"),
    zoo.ImageBandsError: Kind("image-bands", 422, "the image has other bands than the model takes"),
    zoo.ImageError: Kind("image-undecodable", 400, "the upload is not an image that can be read"),
    zoo.UnknownNameError: BAD_PARAMETER,
    zoo.ShapeError: Kind("image-shape", 422, "the model cannot take an image of this shape"),
    zoo.NotFiniteError: Kind("output-not-finite", 500, "the network computed no finite numbers"),
    zoo.BundleError: Kind("model-broken", 503, "the model's bundle cannot be used"),
    errors.ModelBrokenError: Kind("model-broken", 503, "the model's bundle cannot be used"),
    errors.ModelLoadingError: Kind("model-loading", 503, "the model is still loading"),
    errors.ModelUnloadedError: Kind(
        "model-unloaded", 503, "the model was unloaded by its operator"
    ),
    errors.JobsOffError: Kind("jobs-off", 503, "this server accepts no jobs"),
    errors.JobNotFoundError: Kind("unknown-job", 404, "no such job"),
    errors.JobLostError: INTERNAL,
    errors.JobNotDoneError: Kind("job-not-done", 409, "the job has no result"),
    errors.DiskFullError: Kind("disk-full", 507, "the server's disk is full"),
    errors.StoppedError: Kind("stopping", 503, "the server is stopping"),
    errors.OwnerGoneError: Kind("networks-away", 503, "the networks are being started"),
    errors.ApiKeyError: Kind("api-key", 401, "the key is missing or wrong"),
    errors.AdminTokenError: Kind("admin-token", 401, "the admin token is missing or wrong"),
    errors.AliasError: Kind("alias", 422, "the alias cannot be set or removed"),
    errors.NoModelError: Kind("no-model", 503, "the server has no model"),
    errors.UploadTooLargeError: Kind("too-many-bytes", 413, "the upload has too many bytes"),
    errors.UnsupportedMediaTypeError: Kind("media-type", 415, "the body's type is not supported"),
    errors.UrlRefusedError: Kind("url-refused", 403, "the server does not fetch from this URL"),
    errors.UrlFailedError: Kind("url-failed", 422, "the URL gave no image"),
    errors.NotAcceptableError: Kind("not-acceptable", 406, "no answer meets the Accept header"),
    errors.OverloadedError: Kind("overloaded", 503, "the server is full"),
    errors.RateLimitError: Kind("rate-limit", 429, "too many requests from one client"),
    errors.DeadlineError: Kind("deadline", 504, "the answer was not ready in time"),
    errors.ClientGoneError: Kind("client-gone", 499, "the client left"),
    errors.DecodeLimitError: Kind(
        "image-too-costly", 422, "the image takes too much time or memory to decode"
    ),
    errors.DecoderDiedError: Kind("decoder-died", 503, "the image was not decoded"),
    errors.ModelMemoryError: OUT_OF_MEMORY,
    errors.TooManyCornersError: Kind(
        "too-many-corners", 422, "the mask has too many corners for polygons"
    ),
    errors.TooManyRunsError: Kind("too-many-runs", 422, "the mask has too many runs to be written"),
    errors.BadParameterError: BAD_PARAMETER,
    errors.BadRequestError: Kind("bad-request", 400, "the body could not be read"),
    zoo.ZooError: Kind("bad-request", 400, "the request cannot be answered"),
}


@dataclass(frozen=True)
class Problem:
    """A problem document before it is written."""

    kind: Kind
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self, *, path: str, request_id: str) -> dict[str, Any]:
        """Return the document for the request to `path`."""
        detail = _cut(self.detail)
        return {
            "type": f"/docs#problem-{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": detail,
            "instance": _cut(path),
            "error": detail,
            "request_id": request_id,
            **{name: _cut(value) for name, value in self.members.items()},
        }

    def response(self, *, path: str, request_id: str) -> Response:
        """Return the HTTP answer; below /v2 it has the form of that protocol."""
        is_oip = path == "/v2" or path.startswith("/v2/")
        document = self.document(path=path, request_id=request_id)
        if is_oip:
            document = {"error": document["detail"]}
        return Response(
            json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"),
            status_code=self.kind.status,
            media_type="application/json" if is_oip else MEDIA_TYPE,
            headers={**self.headers, "Cache-Control": "no-store"},
        )


def problem_of(error: Exception) -> Problem:
    """Map an error to a problem; the cause of an unexpected error is not disclosed."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, RequestValidationError):
        mistakes = list_mistakes(error)
        return Problem(BAD_PARAMETER, "; ".join(mistakes), {"mistakes": mistakes})
    if is_out_of_memory(error):
        return Problem(OUT_OF_MEMORY, "the server ran out of memory; send a smaller image")
    if not isinstance(error, zoo.ZooError):
        return Problem(
            INTERNAL, "an internal error occurred; quote the request id when you report it"
        )
    kind = next(kind for cls, kind in KINDS.items() if isinstance(error, cls))
    if isinstance(error, zoo.UnknownNameError) and error.kind == "model":
        kind = UNKNOWN_MODEL
    return Problem(kind, str(error), error.members(), _headers(error))


def _cut(value: Any) -> Any:
    """Return a text or a list of texts of limited length: it may repeat what a client sent."""
    if isinstance(value, str):
        return value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…"
    if isinstance(value, list):
        return [_cut(item) for item in value[:_MAX_ITEMS]]
    return value


def table_of_problems() -> list[Kind]:
    """Return each kind of problem once, by status code, for the documentation."""
    kinds = {kind.slug: kind for kind in (*KINDS.values(), UNKNOWN_MODEL, INTERNAL)}
    return sorted(kinds.values(), key=lambda kind: (kind.status, kind.slug))


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, errors.AdminTokenError | errors.ApiKeyError):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.RequestError) and error.retry_after_s is not None:
        return {"Retry-After": str(error.retry_after_s)}
    return {}


def _of_http(error: HTTPException) -> Problem:
    """Describe a refusal of the framework itself: an unknown path, a wrong method."""
    phrase = HTTPStatus(error.status_code).phrase
    kind = Kind(phrase.lower().replace(" ", "-"), error.status_code, phrase.lower())
    headers = error.headers or {}
    if error.status_code == 405:
        allowed = headers.get("Allow", "another")
        return Problem(kind, f"this address accepts {allowed} only; see /docs", headers=headers)
    return Problem(kind, str(error.detail), headers=headers)


def missing_address(path: str, known: Iterable[str]) -> Problem:
    """Return the problem of an unknown path, with suggestions."""
    close = zoo.suggest(path, [one for one in known if "{" not in one])
    guess = f"did you mean {' or '.join(close)}? " if close else ""
    detail = f"there is nothing at {path}; {guess}/docs lists all addresses"
    return Problem(Kind("not-found", 404, "not found"), detail)


def list_mistakes(error: RequestValidationError | ValidationError) -> list[str]:
    """Return one line for each mistake: place, reason, value given."""
    return [_mistake(item) for item in error.errors()]


def _mistake(item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"] if part not in ("query", "body"))
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] in ("missing", "value_error"):
        return f"{place}: {message}" if place else message
    return f"{place}: {message}, given {shown(item['input'])}"
