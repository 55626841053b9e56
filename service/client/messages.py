"""Messages between client and service: requests, answers, refusals."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from maskzoo.models.errors import ZooError


class ServiceError(ZooError):
    """The service refused a request, or cannot be reached.

    Args:
        status: of the answer; 0 if there was none.
        problem: the problem document; empty if there was none.
    """

    def __init__(self, message: str, status: int = 0, problem: Mapping[str, Any] | None = None):
        self.status = status
        self.problem = dict(problem or {})
        super().__init__(message)


@dataclass(frozen=True)
class ServiceAnswer:
    """One segmented image: the service's JSON answer.

    Args:
        document: as `/docs` describes it.
    """

    document: dict[str, Any]

    @property
    def classes(self) -> list[dict[str, Any]]:
        """The classes that occur, each with id, name, colour, pixels, fraction, box, confidence."""
        return list(self.document["classes"])

    @cached_property
    def png(self) -> bytes:
        """The indexed PNG."""
        return base64.b64decode(self.document["png"])

    @cached_property
    def label_map(self) -> np.ndarray:
        """Class ids of the upright image, (H, W)."""
        return np.asarray(Image.open(io.BytesIO(self.png)))

    def fractions(self) -> dict[str, float]:
        """Return the fraction of the image that each class covers, by name."""
        return {entry["name"]: entry["fraction"] for entry in self.classes}


def build_headers(key: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    return {"User-Agent": "maskzoo-client"} | ({"Authorization": f"Bearer {key}"} if key else {})


def build_request(
    http: httpx.Client | httpx.AsyncClient,
    method: str,
    path: str,
    image: Path | str | bytes | None,
    options: Mapping[str, Any] | None,
) -> httpx.Request:
    """Build a request whose body is an image file; options that are None are left out."""
    params = build_params(options or {})
    if image is None:
        return http.build_request(method, path, params=params)
    data = image if isinstance(image, bytes) else Path(image).read_bytes()
    headers = {"Content-Type": "application/octet-stream"}
    return http.build_request(method, path, params=params, content=data, headers=headers)


def build_params(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options as the service takes them; those that are None are left out."""
    return {key: _text(value) for key, value in options.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


def describe_refusal(
    request: httpx.Request, answer: httpx.Response | None, error: Exception | None
) -> ServiceError:
    """Return an error with the service's reason, or the reason why it cannot be reached."""
    where = f"{request.url.scheme}://{request.url.netloc.decode()}"
    if answer is None:
        reason = str(error) or type(error).__name__
        return ServiceError(f"the service at {where} cannot be reached: {reason}; is it running?")
    try:
        problem = answer.json()
        detail = problem["detail"]
    except (ValueError, KeyError, TypeError):
        problem, detail = {}, answer.text[:200] or answer.reason_phrase
    return ServiceError(
        f"{where} answered {answer.status_code}: {detail}", answer.status_code, problem
    )
