"""The OpenAPI document: FastAPI's, with our errors under their true media type.

The bodies and the answers that routes have in common are described here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from maskzoo.service.problems import MEDIA_TYPE
from maskzoo.service.schemas import ProblemDocument

BINARY = {"schema": {"type": "string", "format": "binary"}}
"""The content of one media type: a file."""

_REFERENCE = f"#/components/schemas/{ProblemDocument.__name__}"


def image_body(
    *, file_description: str = "The image.", json_schema: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the request body of a route that takes images: a form, raw bytes, perhaps JSON."""
    file = {"type": "string", "format": "binary", "description": file_description}
    form = {"type": "object", "required": ["file"], "properties": {"file": file}}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if json_schema is not None:
        content["application/json"] = {"schema": dict(json_schema)}
    content |= {"application/octet-stream": BINARY, "image/*": BINARY}
    return {"required": True, "content": content}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the request body of a route that parses its JSON itself."""
    return {
        "required": True,
        "content": {"application/json": {"schema": model.model_json_schema()}},
    }


def problem_responses(descriptions: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return the problem documents of a route, by status, for its `responses`."""
    return {
        status: {"model": ProblemDocument, "description": description}
        for status, description in descriptions.items()
    }


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; it is built on the first call."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        for response in _responses(document):
            content = response.get("content", {})
            if content.get("application/json", {}).get("schema", {}).get("$ref") == _REFERENCE:
                content[MEDIA_TYPE] = content.pop("application/json")
        app.openapi_schema = document
    return app.openapi_schema


def _responses(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        for operation in item.values():
            yield from operation["responses"].values()
