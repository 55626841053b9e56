"""Request bodies: images as raw bytes, as files of a form, or in base64 in JSON; never too much.

The client's word for an image's format is not believed: the decoder looks at the bytes. The
media type only says how the body is packed. Compressed bodies are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from maskzoo.service.errors import BadRequestError, UnsupportedMediaTypeError, UploadTooLargeError
from maskzoo.service.inputs.json_bodies import parse_body

RAW_TYPES = ("image/*", "application/octet-stream")
JSON_TYPE = "application/json"
FORM_TYPE = "multipart/form-data"
ACCEPTED_TYPES = (FORM_TYPE, *RAW_TYPES, JSON_TYPE)
_REFUSED_IMAGES = ("image/svg+xml",)
_CURL_DEFAULT = "application/x-www-form-urlencoded"
_MAX_FIELDS = 32

FORM_ROOM = 64 * 1024
"""Bytes for the boundaries and fields around files, so that `max_bytes` means the files."""


@dataclass(frozen=True)
class Upload:
    """One image as it came in.

    Args:
        data: the encoded bytes; empty while there is only a `url`.
        name: the client's file name, for messages only; never a path to anything.
        fields: the other fields of the body: options.
        url: where to fetch the image; None when it was sent.
    """

    data: bytes
    name: str = "image"
    fields: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = None


@dataclass(frozen=True)
class Submission:
    """The images of one request, at least one, and what is wanted of all of them.

    Args:
        is_many: whether they were sent as a list, also as one of a single image.
    """

    uploads: list[Upload]
    fields: Mapping[str, Any] = field(default_factory=dict)
    is_many: bool = False


async def read_upload(request: Request, *, max_bytes: int) -> Upload:
    """Read the body of a request that sends exactly one image.

    Raises:
        UnsupportedMediaTypeError: the body is of a type that is not taken, or is compressed.
        UploadTooLargeError: more than `max_bytes`.
        BadRequestError: no image in it, or more than one, or a body that cannot be parsed.
    """
    submission = await read_uploads(request, max_bytes=max_bytes, max_images=1)
    upload = submission.uploads[0]
    if upload.url is not None:
        raise BadRequestError("an image by url is not taken here; send its bytes")
    return upload


async def read_uploads(request: Request, *, max_bytes: int, max_images: int) -> Submission:
    """Read the body of a request that sends images.

    Args:
        max_bytes: of all images together.

    Raises:
        UnsupportedMediaTypeError: the body is of a type that is not taken, or is compressed.
        UploadTooLargeError: more than `max_bytes`.
        BadRequestError: no image in it, or too many, or a body that cannot be parsed.
    """
    refuse_coding(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return await _read_form(request, max_bytes, max_images)
    if media_type == JSON_TYPE:
        return await _read_json(request, max_bytes, max_images)
    if not _is_raw(media_type):
        raise UnsupportedMediaTypeError(media_type, ACCEPTED_TYPES, _advice(media_type))
    data = await read_limited(request, max_bytes)
    if not data:
        raise BadRequestError("the body is empty; send the bytes of an image")
    return Submission([Upload(data)])


def refuse_coding(request: Request) -> None:
    """Refuse a compressed body: it may be a bomb.

    Raises:
        UnsupportedMediaTypeError: it is one.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaTypeError(
            f"content-encoding {coding}", ACCEPTED_TYPES, "without Content-Encoding"
        )


def body_type(request: Request, accepted: Sequence[str]) -> str:
    """Return how the body is packed: one of `accepted`, where `image/*` stands for all raw images.

    Raises:
        UnsupportedMediaTypeError: in no way that is taken, or it is compressed.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaTypeError(
            f"content-encoding {coding}", accepted, "without Content-Encoding"
        )
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in accepted and not _is_raw(media_type):
        raise UnsupportedMediaTypeError(media_type, accepted, _advice(media_type))
    return media_type


async def read_limited(request: Request, max_bytes: int) -> bytes:
    """Read a whole body.

    Raises:
        UploadTooLargeError: it has more than `max_bytes`.
    """
    return b"".join([chunk async for chunk in limited(request, max_bytes, max_bytes)])


def _is_raw(media_type: str) -> bool:
    if media_type in _REFUSED_IMAGES:
        return False
    return not media_type or media_type.startswith("image/") or media_type in RAW_TYPES


def _advice(media_type: str) -> str:
    if media_type == _CURL_DEFAULT:
        return "with curl: -F file=@image.png, or -H 'Content-Type: image/png' as well"
    return ""


async def limited(request: Request, max_body: int, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body; refuse by its announced length at once, by its real length as it comes."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > max_body:
        raise UploadTooLargeError(max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_body:
            raise UploadTooLargeError(max_bytes)
        yield chunk


async def _read_json(request: Request, max_bytes: int, max_images: int) -> Submission:
    max_body = -(-max_bytes // 3) * 4 + FORM_ROOM  # base64 makes four bytes of three
    body = b"".join([chunk async for chunk in limited(request, max_body, max_bytes)])
    parsed = await asyncio.to_thread(parse_body, body, max_bytes=max_bytes, max_images=max_images)
    uploads = [Upload(image.data, image.name, parsed.options, image.url) for image in parsed.images]
    return Submission(uploads, parsed.options, parsed.is_many)


async def _read_form(request: Request, max_bytes: int, max_images: int) -> Submission:
    parser = MultiPartParser(
        request.headers,
        limited(request, max_bytes + FORM_ROOM, max_bytes),
        max_files=max_images,
        max_fields=_MAX_FIELDS,
    )
    parser.spool_max_size = max_bytes + FORM_ROOM  # in memory: the disk may be read-only
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadRequestError(f"the form cannot be read: {error.message}") from None
    try:
        return await _pick_files(form, max_bytes)
    finally:
        await form.close()


async def _pick_files(form: FormData, max_bytes: int) -> Submission:
    files = [file for file in form.getlist("file") if isinstance(file, UploadFile)]
    if not files:
        found = ", ".join(sorted(form)) or "none"
        raise BadRequestError(
            f"the form has no file in the field 'file'; its fields: {found} "
            "(with curl: -F file=@image.png)"
        )
    fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    uploads = [Upload(await file.read(), file.filename or "image", fields) for file in files]
    if sum(len(upload.data) for upload in uploads) > max_bytes:
        raise UploadTooLargeError(max_bytes)
    if len(uploads) == 1 and not uploads[0].data:
        raise BadRequestError("the file in the field 'file' is empty")
    return Submission(uploads, fields, is_many=len(uploads) > 1)
