"""POST /segment: a table of good and bad requests, and the honesty of what comes back."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

JSON = {"Accept": "application/json"}


def read_png(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def expected_labels() -> np.ndarray:
    labels = np.zeros((40, 60), np.uint8)
    labels[5:15, 10:30] = 1
    return labels


# --- What good requests get --------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        lambda png: {"files": {"file": ("a.png", png, "image/png")}},
        lambda png: {"files": {"file": ("a.png", png, "text/html")}},
        lambda png: {"content": png, "headers": {"Content-Type": "image/png"}},
        lambda png: {"content": png, "headers": {"Content-Type": "image/jpeg"}},
        lambda png: {"content": png, "headers": {"Content-Type": "application/octet-stream"}},
        lambda png: {"content": png},
    ],
    ids=["form", "form-wrong-type", "raw", "raw-wrong-type", "octets", "untyped"],
)
def test_every_way_to_send_an_image_gives_its_indexed_mask(client, png, body):
    answer = client.post("/segment", **body(png))
    assert answer.status_code == 200, answer.text
    mask = read_png(answer.content)
    assert mask.mode == "P"
    assert np.array_equal(np.asarray(mask), expected_labels())
    assert mask.getpalette()[3:6] == [40, 200, 120]


def test_a_png_tells_what_it_is_in_headers_and_text(client, png):
    answer = client.post("/segment?model=cells", content=png, headers={"X-Request-ID": "mine-1"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["maskzoo-model"] == "cells"
    assert json.loads(answer.headers["maskzoo-classes"]) == {"0": "background", "1": "nucleus"}
    assert answer.headers["vary"] == "Accept"
    text = read_png(answer.content).text
    assert text["maskzoo:model"] == "cells"
    assert text["maskzoo:request-id"] == "mine-1"
    assert json.loads(text["maskzoo:classes"]) == {"0": "background", "1": "nucleus"}


def test_server_timing_names_the_stages(client, png):
    header = client.post("/segment", content=png).headers["server-timing"]
    assert [part.split(";")[0] for part in header.split(", ")] == [
        "decode",
        "queue",
        "network",
        "postprocess",
        "encode",
    ]


@pytest.mark.parametrize("wish", [{"headers": JSON}, {"params": {"format": "json"}}])
def test_json_has_shares_boxes_confidences_and_run_lengths(client, png, wish):
    answer = client.post("/segment", files={"file": ("cells.png", png)}, **wish)
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["width"], body["height"], body["model"]) == (60, 40, "cells")
    assert body["input"]["format"] == "PNG"
    background, nucleus = body["classes"]
    assert background["id"] == 0
    assert nucleus == {
        "id": 1,
        "name": "nucleus",
        "colour": "#28c878",
        "pixels": 200,
        "fraction": pytest.approx(200 / 2400, abs=1e-6),
        "box": [10, 5, 20, 10],
        "confidence": pytest.approx(0.5 + (220 - 127.5) / 255, abs=1e-3),
        "mask": nucleus["mask"],
    }
    assert np.array_equal(coco.decode(nucleus["mask"]), expected_labels())


def test_json_can_hold_the_png_and_leave_out_the_run_lengths(client, png):
    body = client.post("/segment?format=json&masks=png", content=png).json()
    assert np.array_equal(np.asarray(read_png(base64.b64decode(body["png"]))), expected_labels())
    assert all("mask" not in entry for entry in body["classes"])
    bare = client.post("/segment?format=json&masks=none", content=png).json()
    assert "png" not in bare
    assert all("mask" not in entry for entry in bare["classes"])


def test_options_may_be_fields_of_the_form(client, png):
    answer = client.post(
        "/segment", files={"file": png}, data={"format": "json", "model": "streets"}
    )
    assert answer.json()["model"] == "streets"


def test_a_photo_on_its_side_comes_back_upright(client, png):
    image = Image.open(io.BytesIO(png))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying; to be turned by 90 degrees clockwise
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    body = client.post("/segment?format=json", content=stream.getvalue()).json()
    assert (body["width"], body["height"]) == (40, 60)
    assert body["input"]["exif_transposed"] is True
    assert body["classes"][1]["box"] == [40 - 15, 10, 10, 20]


def test_the_answer_is_the_predictors_own(bundles, start, encode):
    """The whole way with a real network: the service adds nothing to the predictor's mask."""
    from maskzoo.models.inference.predictor import Predictor

    predictor = Predictor.from_bundle(bundles / "streets", device="cpu")
    pixels = np.random.default_rng(0).integers(0, 255, (45, 70, 3), np.uint8)
    client = start(predictor)
    answer = client.post("/segment?model=streets", content=encode(pixels))
    assert answer.status_code == 200, answer.text
    mask = np.asarray(read_png(answer.content))
    assert np.array_equal(mask, predictor.segment(pixels).label_map)


# --- What bad requests get ---------------------------------------------------------------------


def check_problem(answer, status: int, slug: str, detail: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"/docs#problem-{slug}"
    assert document["status"] == status
    assert detail in document["detail"]
    assert document["error"] == document["detail"]
    assert document["instance"] == "/segment"
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


@pytest.mark.parametrize(
    ("content", "slug", "detail"),
    [
        (b"hello, I am no image at all", "image-undecodable", ""),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image-undecodable", ""),
        (b"%PDF-1.4 and so on", "image-undecodable", ""),
        (b"\x89PNG\r\n\x1a\n", "image-damaged", ""),
        (b"", "bad-request", "empty"),
    ],
)
def test_bytes_that_are_no_image_are_refused(client, content, slug, detail):
    check_problem(client.post("/segment", content=content), 400, slug, detail)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".webp", ".bmp"])
def test_an_image_cut_in_half_is_refused(client, encode, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = encode(noise, suffix)
    check_problem(client.post("/segment", content=data[: len(data) // 2]), 400, "image-damaged", "")


@pytest.mark.parametrize("way", ["raw", "form", "chunked"])
def test_too_many_bytes_are_a_413_however_they_come(start, way):
    client = start(max_bytes=1000)
    data = bytes(200_000)
    request = {
        "raw": {"content": data},
        "form": {"files": {"file": data}},
        "chunked": {"content": iter([data[:900], data[900:]])},
    }[way]
    document = check_problem(client.post("/segment", **request), 413, "too-many-bytes", "1000")
    assert document["max_bytes"] == 1000


def test_a_form_may_hold_a_file_of_exactly_the_limit(start, png):
    assert start(max_bytes=len(png)).post("/segment", files={"file": png}).status_code == 200


def test_too_many_pixels_are_a_413_that_names_the_size(start, png):
    answer = start(max_pixels=2399).post("/segment", content=png)
    document = check_problem(answer, 413, "too-many-pixels", "60 x 40")
    assert (document["width"], document["height"], document["max_pixels"]) == (60, 40, 2399)


def test_an_unknown_model_is_a_404_with_a_suggestion(client, png):
    answer = client.post("/segment?model=cels", content=png)
    document = check_problem(answer, 404, "unknown-model", "did you mean 'cells'?")
    assert document["suggestions"] == ["cells"]
    assert document["known"] == ["cells", "streets"]


@pytest.mark.parametrize(
    "name", ["../cells", "/etc/passwd", "cells/../../x", "cells\x00", "%2e%2e"]
)
def test_a_model_name_is_never_a_path(client, png, name):
    check_problem(
        client.post("/segment", params={"model": name}, content=png), 404, "unknown-model", ""
    )


def test_an_accept_that_cannot_be_met_is_a_406_listing_the_offers(client, png):
    answer = client.post("/segment", content=png, headers={"Accept": "text/html"})
    document = check_problem(answer, 406, "not-acceptable", "text/html")
    assert "application/json" in document["offered"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("format=jpeg", "format"),
        ("mode=fast", "mode"),
        ("masks=rel", "did you mean 'rle'?"),
        ("modle=cells", "unknown option 'modle'; did you mean"),
    ],
)
def test_a_bad_option_is_a_422_that_says_what_is_allowed(client, png, query, detail):
    answer = client.post(f"/segment?{query}", content=png)
    assert check_problem(answer, 422, "bad-parameter", detail)["mistakes"]


def test_all_mistakes_are_told_at_once(client, png):
    answer = client.post("/segment?format=jpeg&mode=fast", content=png)
    assert len(check_problem(answer, 422, "bad-parameter", "")["mistakes"]) == 2


def test_a_form_that_contradicts_the_query_is_a_422(client, png):
    answer = client.post("/segment?model=cells", files={"file": png}, data={"model": "streets"})
    check_problem(answer, 422, "bad-parameter", "'cells' in the query, 'streets' in the body")


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, "-F file=@image.png"),
        ({"Content-Type": "text/plain"}, "text/plain"),
        ({"Content-Type": "image/svg+xml"}, "image/svg+xml"),
        ({"Content-Encoding": "gzip"}, "gzip"),
    ],
)
def test_a_body_of_another_type_is_a_415(client, png, headers, detail):
    answer = client.post("/segment", content=png, headers=headers)
    assert check_problem(answer, 415, "media-type", detail)["accepted"]


@pytest.mark.parametrize(
    "request_",
    [
        {"files": {"picture": b"x"}},
        {"files": {"file": b""}},
        {"content": b"no parts", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        {"content": b"no boundary", "headers": {"Content-Type": "multipart/form-data"}},
    ],
    ids=["other-field", "empty-file", "no-parts", "no-boundary"],
)
def test_a_broken_form_is_a_400(client, request_):
    check_problem(client.post("/segment", **request_), 400, "bad-request", "")


def test_a_get_is_a_405_as_a_problem_document(client):
    check_problem(client.get("/segment"), 405, "method-not-allowed", "accepts POST only; see /docs")
