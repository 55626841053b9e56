"""Hostile requests: headers, lengths, slow bodies, deep JSON."""

from __future__ import annotations

import json
import socket
import time

import pytest

HEADERS = [
    {"Accept": "a/b," * 5_000},
    {"Accept": ";;;,,,///"},
    {"Accept": "image/png;q=1e400"},
    {"Accept": "image/png;q=-1"},
    {"Accept": "*/png"},
    {"Accept": "image/png;variant=../../x"},
    {"Content-Type": "multipart/form-data; boundary=" + "x" * 5_000},
    {"Content-Type": "multipart/form-data; boundary="},
    {"Content-Type": 'multipart/form-data; boundary="\r'},
    {"Content-Type": "image/png; charset=" + "y" * 5_000},
    {"Content-Type": "💥".encode()},
    {"Content-Type": "application/json; charset=utf-7"},
    {"If-None-Match": '"' * 5_000},
    {"If-None-Match": "W/" * 5_000},
    {"X-Request-ID": "x" * 5_000},
    {"X-Request-ID": "${jndi:ldap://x}"},
    {"x-request-timeout-seconds": "1e400"},
    {"x-request-timeout-seconds": b"\xb2"},
    {"Content-Encoding": "gzip, gzip, gzip"},
    {"Content-Encoding": "identity;x"},
    {"Transfer-Encoding": "gzip"},
    {"Content-Length": "-1"},
    {"Content-Length": "9" * 40},
    {"Content-Length": "1e9"},
    {"Host": "evil.example"},
    {"Origin": "null"},
    {"Range": "bytes=0-1,1-2,2-3"},
    {"Expect": "100-continue"},
    {"Inference-Header-Content-Length": b"\xb2"},
]


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: next(iter(headers)))
@pytest.mark.parametrize("path", ["/segment", "/v2/models/cells/infer", "/huggingface/cells"])
def test_an_odd_header_is_answered_in_order(client, png, path, headers):
    answer = client.post(path, content=png, headers=headers)
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text
    assert "evil.example" not in str(answer.headers) + answer.text[:2000]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/segment", "/v2/models/cells/infer", "/cvat/cells"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"image": 1e999999}',
        b"1" * 10_000,
        b'{"inputs": NaN}',
        b"\xff\xfe{\x00}\x00",
        b"\x00" * 1_000,
        json.dumps({"images": [{"image": "aGk="}] * 10_000}).encode(),
        json.dumps({"inputs": [{"name": "pixels", "shape": [1] * 10_000}]}).encode(),
    ],
    ids=["deep", "deeper", "huge-float", "huge-int", "nan", "utf-16", "zeros", "many", "ranks"],
)
def test_odd_json_is_refused_in_words(client, path, body):
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert answer.json()["error"]
    assert len(answer.content) < 10_000, "what was sent is not sent back"


@pytest.mark.parametrize(
    "path",
    [
        "/web/../settings.py",
        "/web/%2e%2e/settings.py",
        "/web/..%2fsettings.py",
        "/web/....//settings.py",
        "/web/%00",
        "/web//etc/passwd",
        "/models/..%2f..%2fetc%2fpasswd",
        "/v2/models/../../x",
        "/huggingface/..%2f..%2fx",
        "/jobs/..%2f..%2fx",
    ],
)
def test_a_path_never_leaves_its_place(client, path):
    answer = client.get(path)
    assert answer.status_code in (404, 405)
    assert "class Settings" not in answer.text
    assert "root:" not in answer.text


def test_a_body_that_trickles_is_given_up_at_the_deadline(serve, counted_model):
    address = serve(counted_model, request_timeout_s=0.5)
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(
            b"POST /segment HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"Content-Length: 1000\r\n\r\nx"
        )
        assert connection.recv(64).startswith(b"HTTP/1.1 504")


def test_a_body_without_end_is_cut_off_at_the_limit(serve, counted_model):
    address = serve(counted_model, max_bytes=10_000)
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(
            b"POST /segment HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        sent = 0
        try:
            while sent < 50_000_000:
                connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                sent += 0x10000
                connection.setblocking(False)
                try:
                    if connection.recv(64):
                        break
                except BlockingIOError:
                    time.sleep(0.001)
                connection.setblocking(True)
        except OSError:
            pass
    assert sent < 50_000_000, "the server read on and on"
