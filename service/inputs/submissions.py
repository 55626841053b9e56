"""Bodies that hold images: raw bytes, files of a form, or base64 in JSON."""

from __future__ import annotations

import asyncio

from starlette.datastructures import FormData
from starlette.requests import Request

from maskzoo.service.errors import BadRequestError, UploadTooLargeError
from maskzoo.service.inputs.bodies import (
    FORM_TYPE,
    JSON_TYPE,
    RAW_TYPES,
    base64_room,
    body_type,
    join,
    limited,
    read_limited,
)
from maskzoo.service.inputs.forms import fields_of, files_of, open_form
from maskzoo.service.inputs.json_bodies import parse_body
from maskzoo.service.inputs.uploads import Submission, Upload

ACCEPTED_TYPES = (FORM_TYPE, *RAW_TYPES, JSON_TYPE)


async def read_submission(request: Request, *, max_bytes: int, max_images: int) -> Submission:
    """Read the body of a request that sends images.

    Args:
        max_bytes: of all images together.

    Raises:
        UnsupportedMediaTypeError: the body is of a type that is not accepted, or is compressed.
        UploadTooLargeError: more than `max_bytes`.
        BadRequestError: it has no image, too many images, or cannot be parsed.
    """
    media_type = body_type(request, ACCEPTED_TYPES)
    if media_type == FORM_TYPE:
        async with open_form(
            request, max_bytes=max_bytes, max_files=max_images, in_memory=True
        ) as form:  # in memory: the disk may be read-only
            return await _pick_files(form, max_bytes)
    if media_type == JSON_TYPE:
        chunks = limited(request, base64_room(max_bytes), max_bytes)
        body = await join([chunk async for chunk in chunks])
        return await asyncio.to_thread(parse_body, body, max_bytes=max_bytes, max_images=max_images)
    data = await read_limited(request, max_bytes)
    if not data:
        raise BadRequestError("the body is empty; send the bytes of an image")
    return Submission([Upload(data)])


async def _pick_files(form: FormData, max_bytes: int) -> Submission:
    files = files_of(form)
    # In a thread: the file lies in memory, but 32 MB of it are a copy that takes the loop 20 ms.
    data = [await asyncio.to_thread(file.file.read) for file in files]
    uploads = [
        Upload(content, file.filename or "image") for content, file in zip(data, files, strict=True)
    ]
    if sum(len(upload.data) for upload in uploads) > max_bytes:
        raise UploadTooLargeError(max_bytes)
    if len(uploads) == 1 and not uploads[0].data:
        raise BadRequestError("the file in the field 'file' is empty")
    return Submission(uploads, fields_of(form), is_many=len(uploads) > 1)
