"""Messages: what is sent, and what is read of an answer or a refusal."""

from __future__ import annotations

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image

from maskzoo.service.client.messages import (
    ServiceAnswer,
    build_headers,
    build_request,
    describe_refusal,
)

HTTP = httpx.Client(base_url="http://x:8000")


def png_of(label_map: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(label_map).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_an_answer_has_a_label_map_and_the_fraction_of_each_class():
    label_map = np.array([[0, 1], [1, 1]], np.uint8)
    classes = [{"name": "road", "fraction": 0.25}, {"name": "tree", "fraction": 0.75}]
    answer = ServiceAnswer({"classes": classes, "png": png_of(label_map)})
    np.testing.assert_array_equal(answer.label_map, label_map)
    assert answer.fractions() == {"road": 0.25, "tree": 0.75}


def test_a_key_is_sent_as_a_bearer_token_and_none_is_not():
    assert build_headers("k")["Authorization"] == "Bearer k"
    assert "Authorization" not in build_headers(None)


def test_an_image_is_sent_as_the_body_from_bytes_or_from_a_path(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"image")
    for image in (b"image", path, str(path)):
        request = build_request(HTTP, "POST", "/segment", image, {"model": "cells", "tta": None})
        assert request.content == b"image"
        assert request.headers["content-type"] == "application/octet-stream"
        assert dict(request.url.params) == {"model": "cells"}


@pytest.mark.parametrize(
    ("answer", "message", "status"),
    [
        (httpx.Response(422, json={"detail": "mode: wrong"}), "answered 422: mode: wrong", 422),
        (httpx.Response(502, text="bad gateway"), "answered 502: bad gateway", 502),
        (httpx.Response(502, json=["no object"]), 'answered 502: ["no object"]', 502),
        (httpx.Response(500, text="x" * 900), "answered 500: " + "x" * 200, 500),
        (httpx.Response(503), "answered 503: Service Unavailable", 503),
        (None, "cannot be reached: refused; is it running?", 0),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_service_where_there_are_any(answer, message, status):
    request = build_request(HTTP, "GET", "/models", None, None)
    error = describe_refusal(request, answer, httpx.ConnectError("refused"))
    assert str(error).endswith(message)
    assert "http://x:8000" in str(error)
    assert error.status == status
