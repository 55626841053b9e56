"""Null bytes, lone surrogates and broken UTF-8 in every text that is not JSON."""

from __future__ import annotations

import json

import pytest

from maskzoo.service.schemas import SegmentOptions

PERCENT = ["%00", "a%00b", "%ED%A0%80", "%FF", "%C0%80", "%EF%BF%BF", "%F4%90%80%80", "%0d%0aX: y"]
RAW = [b"\x00", b"a\x00b", b"\xed\xa0\x80", b"\xff", b"\xc0\x80", b"\xf4\x90\x80\x80"]


def check(answer) -> None:
    assert answer.status_code < 500, answer.text[:500]
    assert "x: y" not in str(answer.headers).lower()
    if "json" in answer.headers.get("content-type", ""):
        json.loads(answer.content)


@pytest.mark.parametrize("option", sorted(SegmentOptions.model_fields))
def test_an_option_of_the_query(client, png, option, caplog):
    for value in PERCENT:
        for path in ("/segment", "/jobs", "/huggingface/cells"):
            check(client.post(f"{path}?{option}={value}", content=png))
        check(client.post(f"/segment?{value}={option}", content=png))
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("option", sorted(SegmentOptions.model_fields))
def test_a_field_of_a_form(client, png, option, caplog):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for value in RAW:
        for name, content in ((option.encode(), value), (value, b"x")):
            field = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + content
            image = b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            for path in ("/segment", "/jobs"):
                body = field + image + png + b"\r\n--b--\r\n"
                check(client.post(path, content=body, headers=headers))
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/models/@",
        "/jobs/@",
        "/jobs/@/result",
        "/jobs/@/events",
        "/v2/models/@",
        "/v2/models/@/ready",
        "/huggingface/@",
        "/cvat/@",
        "/admin/aliases/@",
        "/admin/models/@/load",
        "/web/@",
        "/@",
    ],
)
def test_a_part_of_a_path(start, path, caplog):
    client = start(admin_token="a-token-of-sixteen")
    headers = {"Authorization": "Bearer a-token-of-sixteen", "Content-Type": "application/json"}
    for value in PERCENT[:-1]:
        for method in ("GET", "POST", "PUT", "DELETE"):
            content = b'{"model": "cells"}' if method in ("POST", "PUT") else None
            address = path.replace("@", value)
            check(client.request(method, address, headers=headers, content=content))
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "header",
    [
        "Accept",
        "Accept-Language",
        "Authorization",
        "Content-Type",
        "If-None-Match",
        "Origin",
        "traceparent",
        "User-Agent",
        "X-API-Key",
        "X-Forwarded-For",
        "X-Request-ID",
        "x-request-timeout-seconds",
    ],
)
def test_a_header(client, png, header, caplog):
    for value in RAW:
        check(client.post("/segment", content=png, headers={header: value}))
    assert "Traceback" not in caplog.text


def test_text_of_a_job_is_stored_or_refused(client, png):
    """The store of jobs cannot hold a surrogate; see F13b."""
    for value in ("a\x00b", "\ufffe", "\U0010ffff", "a\u202eb"):
        answer = client.post("/jobs", files={"file": (value, png)}, headers={"X-Request-ID": "a"})
        check(answer)
        if answer.status_code == 202:
            check(client.get(f"/jobs/{answer.json()['id']}"))
