"""The OpenAPI document: FastAPI's, with our errors under their true media type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from maskzoo.service.problems import MEDIA_TYPE
from maskzoo.service.schemas import ProblemDocument

_REFERENCE = f"#/components/schemas/{ProblemDocument.__name__}"


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """Return the document; made at the first call."""
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
