"""Requests that a proxy and the service may read differently, sent byte by byte."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from maskzoo.service.guards.keys import hash_key, new_key

KEY, HASH = new_key()
HIDDEN = b"GET /models HTTP/1.1\r\nHost: x\r\nX-Hidden: yes\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def length(number: int) -> bytes:
    return b"Content-Length: %d\r\n" % number


def exchange(address: str, head: bytes, body: bytes) -> bytes:
    """Send a request and return all that comes back until the connection is closed."""
    host = urlsplit(address)
    start = b"POST /segment HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
    with socket.create_connection((host.hostname, host.port), timeout=120) as connection:
        connection.sendall(start + head + b"\r\n" + body)
        connection.settimeout(3)
        found = b""
        try:
            while part := connection.recv(65536):
                found += part
        except TimeoutError:
            pass
        return found


FRAMES = {
    "two lengths": (length(0) + length(len(HIDDEN)), HIDDEN),
    "two equal lengths": (length(3) * 2, b"abc" + HIDDEN),
    "a list of lengths": (b"Content-Length: 3, 3\r\n", b"abc" + HIDDEN),
    "length before chunks": (length(5) + CHUNKED, b"0\r\n\r\n" + HIDDEN),
    "chunks before length": (CHUNKED + length(5), b"0\r\n\r\n" + HIDDEN),
    "chunks twice": (CHUNKED * 2, b"0\r\n\r\n" + HIDDEN),
    "chunks and identity": (
        CHUNKED + b"Transfer-Encoding: identity\r\n",
        b"0\r\n\r\n" + HIDDEN,
    ),
    "another coding": (b"Transfer-Encoding: xchunked\r\n" + length(5), b"0\r\n\r\n" + HIDDEN),
    "space before the colon": (b"Content-Length : 0\r\n" + length(5), b"0\r\n\r\n" + HIDDEN),
    "folded": (b"Content-Length:\r\n 5\r\n", b"0\r\n\r\n" + HIDDEN),
    "signed": (b"Content-Length: +5\r\n", b"0\r\n\r\n" + HIDDEN),
    "bare line feeds": (b"X: y\nContent-Length: 5\n", b"0\r\n\r\n" + HIDDEN),
    "odd chunk size": (CHUNKED, b"0x3\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "negative chunk size": (CHUNKED, b"-1\r\nabc\r\n0\r\n\r\n" + HIDDEN),
}


@pytest.mark.parametrize("frame", FRAMES)
def test_a_body_of_two_lengths_hides_no_request(serve, counted_model, frame):
    address = serve(counted_model)
    found = exchange(address, *FRAMES[frame])
    assert found.startswith(b"HTTP/1.1 400"), found[:300]
    assert found.count(b"HTTP/1.1 ") == 1, "the hidden request was answered"
    assert b'"models"' not in found


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {KEY}"), ("Authorization", "Bearer other")],
        [("Authorization", "Bearer other"), ("Authorization", f"Bearer {KEY}")],
        [("X-API-Key", KEY), ("X-API-Key", KEY)],
        [("Content-Type", "image/png"), ("Content-Type", "application/json")],
        [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")],
        [("x-request-timeout-seconds", "1"), ("x-request-timeout-seconds", "100")],
    ],
    ids=lambda headers: headers[0][0],
)
def test_a_header_of_two_values_is_refused(start, png, headers):
    client = start(api_keys=f"ann={HASH} bob={hash_key('other')}")
    answer = client.post("/segment", content=png, headers=[("X-API-Key", KEY), *headers])
    if headers[0][0] == "X-API-Key":
        assert "3 times" in answer.json()["error"]
    assert answer.status_code == 400
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "query", ["mode=whole&mode=tiled", "mode=whole&mode=whole", "%6dode=whole&mode=tiled", "x&x"]
)
@pytest.mark.parametrize("path", ["/segment", "/jobs", "/v2/models/cells/infer", "/models"])
def test_an_option_is_given_once_in_the_query(client, png, path, query):
    answer = client.post(f"{path}?{query}", content=png, headers={"Content-Type": "image/png"})
    assert answer.status_code == 400
    assert "is given 2 times in the query" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/segment", "/jobs"])
def test_a_field_is_given_once_in_a_form(client, png, path):
    parts = [("file", ("a.png", png)), ("mode", (None, "whole")), ("mode", (None, "tiled"))]
    answer = client.post(path, files=parts)
    assert answer.status_code == 400
    assert answer.json()["error"] == "the field 'mode' is given twice in the form"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/segment", '{"image": "aGk=", "mode": "whole", "mode": "tiled"}'),
        ("/segment", '{"image": "aGk=", "\\u006dode": "whole", "mode": "tiled"}'),
        ("/segment", '{"images": [{"image": "aGk=", "image": "aGk="}]}'),
        ("/v2/models/cells/infer", '{"inputs": [], "inputs": []}'),
        ("/huggingface/cells", '{"inputs": "aGk=", "inputs": "aGk="}'),
        ("/cvat/cells", '{"image": "aGk=", "image": "aGk="}'),
        ("/label-studio/predict", '{"tasks": [], "tasks": [], "label_config": "x"}'),
    ],
)
def test_a_member_is_given_once_in_an_object(client, path, body):
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert "is given twice in an object of the body" in answer.json()["error"]
