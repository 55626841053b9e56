"""The OpenAPI document: built once, problems under their media type, bodies described."""

from __future__ import annotations

from maskzoo.service.openapi import image_body, problem_responses
from maskzoo.service.problems import MEDIA_TYPE
from maskzoo.service.schemas import ProblemDocument


def test_the_document_is_built_once(client):
    assert client.app.openapi() is client.app.openapi()


def test_every_problem_document_has_its_media_type(client):
    for path, item in client.app.openapi()["paths"].items():
        for operation in item.values():
            for answer in operation["responses"].values():
                reference = "#/components/schemas/ProblemDocument"
                plain = answer.get("content", {}).get("application/json", {})
                assert plain.get("schema", {}).get("$ref") != reference, path


def test_segment_takes_json_and_jobs_does_not(client):
    paths = client.app.openapi()["paths"]
    taken = {
        path: set(paths[path]["post"]["requestBody"]["content"]) for path in ("/segment", "/jobs")
    }
    common = {"multipart/form-data", "application/octet-stream", "image/*"}
    assert taken == {"/segment": {*common, "application/json"}, "/jobs": common}


def test_a_body_names_the_field_of_its_file():
    form = image_body(file_description="One.")["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"]
    assert form["properties"]["file"]["description"] == "One."


def test_problems_are_described_by_status():
    assert problem_responses({404: "No such job."}) == {
        404: {"model": ProblemDocument, "description": "No such job."}
    }
    assert MEDIA_TYPE == "application/problem+json"
