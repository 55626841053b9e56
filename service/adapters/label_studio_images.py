"""Images of Label Studio's tasks: data URLs, paths on Label Studio, public URLs.

In the task itself (a data: URL); from Label Studio, by a path, where the operator said where it
is (`MASKZOO_LABEL_STUDIO_URL`) and how to be let in; by a public URL where those are switched on.
"""

from __future__ import annotations

from typing import Any

import httpx

from maskzoo.service.errors import (
    BadRequestError,
    UploadTooLargeError,
    UrlFailedError,
    UrlRefusedError,
)
from maskzoo.service.inputs.base64_text import decode_base64
from maskzoo.service.inputs.fetching import Fetcher
from maskzoo.service.inputs.uploads import Upload
from maskzoo.service.settings import Settings

Transport = httpx.AsyncBaseTransport | None


async def find_image(
    task: dict[str, Any], key: str, settings: Settings, *, transport: Transport = None
) -> Upload:
    """Return the image of a task.

    Raises:
        BadRequestError: the task has none.
        UrlRefusedError: this server does not fetch from there.
        UrlFailedError: nothing came back.
        UploadTooLargeError: it has too many bytes.
    """
    data = task.get("data")
    place = data.get(key) if isinstance(data, dict) else None
    if not isinstance(place, str) or not place:
        raise BadRequestError(f"the task has no image in data.{key}")
    if place.startswith("data:"):
        image = decode_base64(place)
        if len(image) > settings.max_bytes:
            raise UploadTooLargeError(settings.max_bytes)
        return Upload(image)
    if place.startswith("/") and not place.startswith("//"):
        return Upload(await _ask_label_studio(place, settings, transport))
    if not settings.url_input:
        raise UrlRefusedError("this server takes no urls")
    fetcher = Fetcher(settings.url_hosts, settings.url_timeout_s, transport=transport)
    return Upload(await fetcher.fetch(place, max_bytes=settings.max_bytes))


async def _ask_label_studio(path: str, settings: Settings, transport: Transport) -> bytes:
    """Fetch a path of the one server that the operator named; never elsewhere."""
    if settings.label_studio_url is None:
        raise UrlRefusedError("MASKZOO_LABEL_STUDIO_URL is not set")
    headers = {"Accept-Encoding": "identity"}
    if settings.label_studio_token is not None:
        headers["Authorization"] = f"Token {settings.label_studio_token.get_secret_value()}"
    chunks, received = [], 0
    try:
        async with (
            httpx.AsyncClient(
                trust_env=False, timeout=settings.url_timeout_s, transport=transport
            ) as client,
            client.stream(
                "GET", settings.label_studio_url.rstrip("/") + path, headers=headers
            ) as answer,
        ):
            if answer.status_code != 200:  # also a redirect: the token goes nowhere else
                raise UrlFailedError(f"Label Studio answered {answer.status_code}")
            async for chunk in answer.aiter_raw():
                received += len(chunk)
                if received > settings.max_bytes:
                    raise UploadTooLargeError(settings.max_bytes)
                chunks.append(chunk)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        raise UrlFailedError("Label Studio cannot be reached") from None
    return b"".join(chunks)
