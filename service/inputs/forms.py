"""Forms (multipart/form-data): the image in the field `file`, options in the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from maskzoo.models.errors import shown
from maskzoo.service.errors import BadRequestError
from maskzoo.service.inputs.bodies import FORM_ROOM, limited

FILE_FIELD = "file"
_MAX_FIELDS = 32
_MAX_FIELD_BYTES = 16 * 1024


@asynccontextmanager
async def open_form(
    request: Request, *, max_bytes: int, max_files: int, in_memory: bool
) -> AsyncIterator[FormData]:
    """Parse the body as a form; its files are closed at the end of the block.

    Args:
        max_bytes: of all files together.
        in_memory: whether files stay in memory; else larger ones go to the temporary folder.

    Raises:
        UploadTooLargeError: more than `max_bytes`.
        BadRequestError: the body is not a form that can be read.
    """
    _check_charset(request)
    parser = MultiPartParser(
        request.headers,
        limited(request, max_bytes + FORM_ROOM, max_bytes),
        max_files=max_files,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    if in_memory:
        parser.spool_max_size = max_bytes + FORM_ROOM
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadRequestError(f"the form cannot be read: {error.message}") from None
    except UnicodeError:
        raise BadRequestError("the form cannot be read: its text is not UTF-8") from None
    try:
        yield form
    finally:
        await form.close()


def _check_charset(request: Request) -> None:
    """Refuse text in another encoding than UTF-8: some of them yield what is not text.

    Raises:
        BadRequestError: the content type names one.
    """
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    charset = message.get_param("charset", "utf-8")
    if not isinstance(charset, str) or charset.lower() not in ("utf-8", "us-ascii"):
        raise BadRequestError(f"the form's charset is {shown(charset)}; send UTF-8")


def files_of(form: FormData) -> list[UploadFile]:
    """Return the files in the field `file`.

    Raises:
        BadRequestError: there are none; names the received fields.
    """
    files = [file for file in form.getlist(FILE_FIELD) if isinstance(file, UploadFile)]
    if not files:
        found = ", ".join(sorted(form)) or "none"
        raise BadRequestError(
            f"the form has no file in the field {FILE_FIELD!r}; its fields: {found} "
            "(with curl: -F file=@image.png)"
        )
    return files


def fields_of(form: FormData) -> dict[str, str]:
    """Return the fields that are text.

    Raises:
        BadRequestError: one is given twice.
    """
    fields: dict[str, str] = {}
    for key, value in form.multi_items():
        if key in fields:
            raise BadRequestError(f"the field {shown(key)} is given twice in the form")
        if isinstance(value, str):
            fields[key] = value
    return fields
