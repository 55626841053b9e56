"""Uploads of jobs: streamed to disk, never as a whole in memory.

A raw body is written as it arrives. A form is parsed by the framework, which keeps its file in
the temporary folder (`TMPDIR`) until it is complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from maskzoo.service.errors import BadRequestError
from maskzoo.service.inputs.bodies import FORM_TYPE, RAW_TYPES, body_type, limited
from maskzoo.service.inputs.forms import fields_of, files_of, open_form

ACCEPTED_TYPES = (FORM_TYPE, *RAW_TYPES)
_WRITE_BYTES = 1 << 20


@dataclass(frozen=True)
class Intake:
    """The parts of a job's request besides the image.

    Args:
        name: the client's file name, for messages only; never a path to anything.
        fields: the other fields of a form, as text.
    """

    name: str = "image"
    fields: Mapping[str, str] = field(default_factory=dict)


async def receive(request: Request, target: Path, *, max_bytes: int) -> Intake:
    """Write the image of a request to `target`.

    Raises:
        UnsupportedMediaTypeError: the body is of a type that is not accepted, or is compressed.
        UploadTooLargeError: more than `max_bytes`.
        BadRequestError: it has no image, or is an invalid form.
    """
    if body_type(request, ACCEPTED_TYPES) == FORM_TYPE:
        return await _receive_form(request, target, max_bytes)
    await _receive_raw(request, target, max_bytes)
    return Intake()


async def _receive_raw(request: Request, target: Path, max_bytes: int) -> None:
    size, waiting = 0, bytearray()
    with target.open("xb") as file:
        async for chunk in limited(request, max_bytes, max_bytes):
            size += len(chunk)
            waiting += chunk
            if len(waiting) >= _WRITE_BYTES:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(file.write, bytes(waiting))
    if not size:
        raise BadRequestError("the body is empty; send the bytes of an image")


async def _receive_form(request: Request, target: Path, max_bytes: int) -> Intake:
    async with open_form(request, max_bytes=max_bytes, max_files=1, in_memory=False) as form:
        upload = files_of(form)[0]
        if not upload.size:
            raise BadRequestError("the file in the field 'file' is empty")
        await run_in_threadpool(_copy, upload, target)
        return Intake(upload.filename or "image", fields_of(form))


def _copy(upload: UploadFile, target: Path) -> None:
    with target.open("xb") as file:
        shutil.copyfileobj(upload.file, file, _WRITE_BYTES)
