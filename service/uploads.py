"""Request bodies: one image as raw bytes or as a multipart file, never more than the limit.

The client's word for the image's format is not believed: the decoder looks at the bytes. The
media type only says how the body is packed. Compressed bodies are refused.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from service.errors import BadRequestError, UnsupportedMediaTypeError, UploadTooLargeError

RAW_TYPES = ("image/*", "application/octet-stream")
ACCEPTED_TYPES = ("multipart/form-data", *RAW_TYPES)
_REFUSED_IMAGES = ("image/svg+xml",)
_CURL_DEFAULT = "application/x-www-form-urlencoded"
_MAX_FIELDS = 32
# Room for the boundaries and fields around a file, so that `max_bytes` means the file.
_MULTIPART_ROOM = 64 * 1024


@dataclass(frozen=True)
class Upload:
    """One encoded image as it came in.

    Args:
        data: the encoded bytes.
        name: the client's file name, for messages only; never a path to anything.
        fields: the other fields of the form, as text.
    """

    data: bytes
    name: str = "image"
    fields: Mapping[str, str] = field(default_factory=dict)


async def read_upload(request: Request, *, max_bytes: int) -> Upload:
    """Read the body of a request that sends one image.

    Raises:
        UnsupportedMediaTypeError: the body is of a type that is not taken, or is compressed.
        UploadTooLargeError: more than `max_bytes`.
        BadRequestError: no image in it, or a form that cannot be parsed.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaTypeError(
            f"content-encoding {coding}", ACCEPTED_TYPES, "without Content-Encoding"
        )
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return await _read_form(request, max_bytes)
    if not _is_raw(media_type):
        raise UnsupportedMediaTypeError(media_type, ACCEPTED_TYPES, _advice(media_type))
    data = b"".join([chunk async for chunk in _limited(request, max_bytes)])
    if not data:
        raise BadRequestError("the body is empty; send the bytes of an image")
    return Upload(data)


def _is_raw(media_type: str) -> bool:
    if media_type in _REFUSED_IMAGES:
        return False
    return not media_type or media_type.startswith("image/") or media_type in RAW_TYPES


def _advice(media_type: str) -> str:
    if media_type == _CURL_DEFAULT:
        return "with curl: -F file=@image.png, or -H 'Content-Type: image/png' as well"
    return ""


async def _limited(request: Request, max_bytes: int, room: int = 0) -> AsyncGenerator[bytes, None]:
    """Yield the body; refuse by its announced length at once, by its real length as it comes."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes + room:
        raise UploadTooLargeError(max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes + room:
            raise UploadTooLargeError(max_bytes)
        yield chunk


async def _read_form(request: Request, max_bytes: int) -> Upload:
    parser = MultiPartParser(
        request.headers,
        _limited(request, max_bytes, _MULTIPART_ROOM),
        max_files=1,
        max_fields=_MAX_FIELDS,
    )
    parser.spool_max_size = max_bytes + _MULTIPART_ROOM  # in memory: the disk may be read-only
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadRequestError(f"the form cannot be read: {error.message}") from None
    try:
        return await _pick_file(form, max_bytes)
    finally:
        await form.close()


async def _pick_file(form: FormData, max_bytes: int) -> Upload:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        found = ", ".join(sorted(form)) or "none"
        raise BadRequestError(f"the form has no file in the field 'file'; its fields: {found}")
    data = await file.read()
    if len(data) > max_bytes:
        raise UploadTooLargeError(max_bytes)
    if not data:
        raise BadRequestError("the file in the field 'file' is empty")
    fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    return Upload(data, file.filename or "image", fields)
