"""Every option and every member of a body has a limit, by the OpenAPI document itself.

A parameter that is added without one fails here; `tests/service/guards/test_bodies.py` does the
same for whole bodies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

LIMITS = {
    "string": {"maxLength", "pattern"},
    "integer": {"maximum", "exclusiveMaximum"},
    "number": {"maximum", "exclusiveMaximum"},
    "boolean": {"type"},
    "null": {"type"},
}
"""Of each kind of value, the words of a schema that bound it."""

FREE_OBJECTS = {"tasks[]"}  # `inputs.json_text` bounds their values


def unbounded(schema: dict[str, Any], document: dict[str, Any], place: str) -> Iterator[str]:
    """Yield the places in a schema of a request that a client may fill without a limit."""
    if "$ref" in schema:
        schema = resolve(schema["$ref"], document)
    for choice in schema.get("anyOf", []):
        yield from unbounded(choice, document, place)
    if {"enum", "const", "anyOf"} & schema.keys():
        return
    kind = schema.get("type")
    if kind == "array":
        if "maxItems" not in schema:
            yield place
        yield from unbounded(schema["items"], document, f"{place}[]")
    elif kind == "object":
        if "properties" not in schema and place not in FREE_OBJECTS:
            yield place
        for name, member in schema.get("properties", {}).items():
            yield from unbounded(member, document, f"{place}.{name}" if place else name)
    elif not LIMITS[kind] & schema.keys() and not is_file(schema):
        yield place


def is_file(schema: dict[str, Any]) -> bool:
    """Whether a text is a file, whose bytes the gate of bodies counts."""
    return schema.get("format") == "binary" or schema.get("contentEncoding") == "base64"


def resolve(reference: str, document: dict[str, Any]) -> dict[str, Any]:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def test_every_option_and_every_member_of_a_body_has_a_limit(start):
    document = start(admin_token="a-token-of-sixteen", preload=False).app.openapi()
    found = []
    for path, item in document["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                place = f"{path.strip('/')}?{parameter['name']}"
                found += unbounded(parameter["schema"], document, place)
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = content["schema"]
                where = document if "$defs" not in schema else {**document, **schema}
                found += [f"{path}: {one}" for one in unbounded(schema, where, "")]
    assert sorted(set(found)) == []


@pytest.mark.parametrize(
    ("schema", "is_bounded"),
    [
        ({"type": "string"}, False),
        ({"type": "string", "maxLength": 9}, True),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, False),
        ({"type": "integer", "minimum": 0}, False),
        ({"type": "array", "items": {"type": "boolean"}}, False),
        ({"type": "array", "maxItems": 2, "items": {"type": "string"}}, False),
        ({"type": "object"}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, False),
        ({"type": "object", "properties": {"a": {"enum": ["x"]}}}, True),
    ],
)
def test_the_walk_finds_what_has_no_limit(schema, is_bounded):
    assert (list(unbounded(schema, {}, "")) == []) is is_bounded
