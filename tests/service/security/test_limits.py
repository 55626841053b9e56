"""Every option and every member of a body has a limit, by the OpenAPI document itself.

A parameter that is added without one fails here; `tests/service/guards/test_bodies.py` does the
same for whole bodies.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Header, Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from maskzoo.service import adapters, inputs, routes

LIMITS = {
    "string": {"maxLength", "pattern"},
    "integer": {"maximum", "exclusiveMaximum"},
    "number": {"maximum", "exclusiveMaximum"},
    "boolean": {"type"},
    "null": {"type"},
}
"""Of each kind of value, the words of a schema that bound it."""

FREE_OBJECTS = {"tasks[]"}  # `inputs.json_text` bounds their values
FREE_VALUES = {"inputs[].data", "data"}  # and these: numbers, or images in base64


def unbounded(
    schema: dict[str, Any], document: dict[str, Any], place: str, *, is_number_bounded: bool = False
) -> Iterator[str]:
    """Yield the places in a schema of a request that a client may fill without a limit.

    Args:
        is_number_bounded: whether something else bounds all numbers.
    """
    within = partial(unbounded, document=document, is_number_bounded=is_number_bounded)
    if "$ref" in schema:
        schema = resolve(schema["$ref"], document)
    for choice in schema.get("anyOf", []):
        yield from within(choice, place=place)
    if {"enum", "const", "anyOf"} & schema.keys():
        return
    kind = schema.get("type")
    if kind == "array":
        if "maxItems" not in schema:
            yield place
        yield from within(schema["items"], place=f"{place}[]")
    elif kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            yield from within(values, place=f"{place}{{}}")
        if not {"properties", "maxProperties"} & schema.keys() and place not in FREE_OBJECTS:
            yield place
        for name, member in schema.get("properties", {}).items():
            yield from within(member, place=f"{place}.{name}" if place else name)
    elif kind is None:
        if place not in FREE_VALUES:
            yield place
    elif kind in ("integer", "number") and is_number_bounded:
        return
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


def unbounded_in(document: dict[str, Any]) -> list[str]:
    """Return the options and the members of bodies in a document that have no limit."""
    found: set[str] = set()
    for path, item in document["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                place = f"{path.strip('/')}?{parameter['name']}"
                found |= set(unbounded(parameter["schema"], document, place))
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = content["schema"]
                where = document if "$defs" not in schema else {**document, **schema}
                found |= {f"{path}: {one}" for one in unbounded(schema, where, "")}
    return sorted(found)


def all_routes(app: FastAPI) -> list[APIRoute]:
    """Return every route, those that the document leaves out too."""
    found, waiting = [], list(app.routes)
    for route in waiting:
        if isinstance(route, APIRoute):
            found.append(route)
        else:
            waiting += getattr(getattr(route, "original_router", None), "routes", [])
    return found


def describe_all(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of every route."""
    routes = all_routes(app)
    for route in routes:
        route.include_in_schema = True
    document = get_openapi(title="all", version="0", routes=routes)
    assert sum(len(item) for item in document["paths"].values()) > 35
    return document


@pytest.fixture(name="app")
def app_fixture(start) -> FastAPI:
    """The service with all of its routes."""
    return start(admin_token="a-token-of-sixteen", preload=False).app


def test_every_option_and_every_member_of_a_body_has_a_limit(app):
    assert unbounded_in(app.openapi()) == []
    assert unbounded_in(describe_all(app)) == []


class Planted(BaseModel):
    """A body that somebody forgot to limit."""

    word: str


def with_text(word: str) -> None: ...
def with_text_that_may_be_absent(word: str | None = None) -> None: ...
def with_number(count: int) -> None: ...
def with_list(words: Annotated[list[str], Query()]) -> None: ...
def with_header(word: Annotated[str, Header()]) -> None: ...
def with_body(body: Planted) -> None: ...


@pytest.mark.parametrize("is_shown", [True, False])
@pytest.mark.parametrize(
    "route",
    [with_text, with_text_that_may_be_absent, with_number, with_list, with_header, with_body],
)
def test_a_new_route_with_an_option_that_has_no_limit_fails_this_test(app, route, is_shown):
    app.post("/planted", include_in_schema=is_shown)(route)
    found = unbounded_in(describe_all(app))
    assert found
    assert all("planted" in place for place in found)


def test_a_new_route_that_reads_a_body_says_which(app):
    """What is read by hand has the limits of `inputs.json_text` and no others."""
    document = describe_all(app)
    silent = {
        path
        for path, item in document["paths"].items()
        if {"post", "put", "patch"} & item.keys()
        and not any("requestBody" in operation for operation in item.values())
    }
    assert silent == {
        "/huggingface/{model}",  # `Parameters`, below
        "/cvat/{model}",  # an image and a number
        "/v2/models/{model}/versions/{version}/infer",  # as without the version
        "/label-studio/{model}/predict",  # as without the model
        "/label-studio/setup",
        "/label-studio/{model}/setup",
        "/admin/models/{name}/load",
        "/admin/models/{name}/unload",
    }


def records_of_bodies() -> list[type[BaseModel]]:
    """Return the records that bodies are read into."""
    found = []
    for package in (adapters, inputs, routes):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            found += [
                record
                for record in vars(importlib.import_module(module.name)).values()
                if isinstance(record, type)
                and issubclass(record, BaseModel)
                and record.__module__ == module.name
                and record.__name__ != "Refusal"  # an answer
            ]
    assert len(found) >= 7
    return found


@pytest.mark.parametrize("record", records_of_bodies(), ids=lambda record: record.__name__)
def test_a_record_of_a_body_has_limits_of_texts_and_lists(record):
    """Numbers have 64 bits by `inputs.json_text`, long arrays of them a number of their own."""
    schema = record.model_json_schema()
    assert list(unbounded(schema, schema, "", is_number_bounded=True)) == []


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
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, False),
        ({"type": "object", "maxProperties": 2, "additionalProperties": {"type": "null"}}, True),
        ({"type": "object", "maxProperties": 2, "additionalProperties": {}}, False),
        ({}, False),
    ],
)
def test_the_walk_finds_what_has_no_limit(schema, is_bounded):
    assert (list(unbounded(schema, {}, "")) == []) is is_bounded
