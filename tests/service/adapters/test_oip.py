"""The Open Inference Protocol over HTTP: by hand, and by Triton's own client."""

from __future__ import annotations

import base64
import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from maskzoo.service.adapters.oip import image_limit


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def image_request(png: bytes, **more: object) -> dict:
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [text_of(png)]}
    return {"id": "42", "inputs": [tensor], **more}


def test_the_server_says_who_it_is_and_that_it_lives(client):
    assert client.get("/v2").json()["name"] == "maskzoo"
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models").json() == {"models": ["cells", "streets"]}
    assert client.get("/v2/models/cells/ready").json() == {"name": "cells", "ready": True}


def test_a_service_without_models_is_not_ready(start, tmp_path):
    client = start(bundles=(tmp_path,), preload=False)
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503


def test_metadata_names_inputs_outputs_and_classes(client):
    document = client.get("/v2/models/streets").json()
    assert document["platform"] == "maskzoo"
    assert [tensor["name"] for tensor in document["inputs"]] == ["image", "pixels"]
    assert document["outputs"][0] == {"name": "mask", "datatype": "UINT8", "shape": [-1, -1, -1]}
    assert document["parameters"]["classes"] == ["road", "building", "tree"]
    version = document["versions"][0]
    assert client.get(f"/v2/models/streets/versions/{version}").json() == document
    assert client.get("/v2/models/streets/versions/nope").status_code == 404


def test_an_encoded_image_in_json_gives_its_mask(client, png):
    document = client.post("/v2/models/cells/infer", json=image_request(png)).json()
    assert (document["model_name"], document["id"]) == ("cells", "42")
    (output,) = document["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("mask", "UINT8", [1, 40, 60])
    assert sum(output["data"]) == 200


def test_pixels_as_bytes_give_a_mask_and_confidence_as_bytes(client):
    pixels = np.full((2, 20, 30, 3), 20, np.uint8)
    pixels[1, 5:9, 3:8] = 220
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "pixels",
                    "shape": [2, 20, 30, 3],
                    "datatype": "UINT8",
                    "parameters": {"binary_data_size": pixels.size},
                }
            ],
            "outputs": [{"name": "mask"}, {"name": "confidence"}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    answer = client.post(
        "/v2/models/cells/infer",
        content=head + pixels.tobytes(),
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    tail = answer.content[length:]
    mask = np.frombuffer(tail[:1200], np.uint8).reshape(2, 20, 30)
    assert np.array_equal(mask, (pixels[:, :, :, 0] > 127).astype(np.uint8))
    confidence = np.frombuffer(tail[1200:], "<f4").reshape(2, 20, 30)
    np.testing.assert_allclose(confidence[1, 6, 4], 0.5 + (220 - 127.5) / 255, atol=1e-3)


def test_images_of_unequal_sizes_are_answered_as_png_only(client, png, encode):
    other = encode(np.zeros((8, 8, 3), np.uint8))
    tensor = {"name": "image", "shape": [2], "datatype": "BYTES"}
    document = {"inputs": [{**tensor, "data": [text_of(png), text_of(other)]}]}
    refused = client.post("/v2/models/cells/infer", json=document)
    assert refused.status_code == 422
    assert "unequal sizes" in refused.json()["error"]
    document["outputs"] = [{"name": "png"}]
    output = client.post("/v2/models/cells/infer", json=document).json()["outputs"][0]
    sizes = [Image.open(io.BytesIO(base64.b64decode(text))).size for text in output["data"]]
    assert sizes == [(60, 40), (8, 8)]


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        ({"inputs": []}, 422, "inputs"),
        ({"outputs": [{"name": "logits"}]}, 422, "no output 'logits'"),
        ({"inputs": [{"name": "y", "shape": [1], "datatype": "BYTES"}]}, 422, "no input 'y'"),
        ({"inputs": [{"name": "image", "shape": [1], "datatype": "FP32"}]}, 422, "is BYTES"),
        ({"inputs": [{"name": "image", "shape": [10**9], "datatype": "BYTES"}]}, 400, "at most 16"),
        (
            {"inputs": [{"name": "pixels", "shape": [1, 10**5, 10**5, 3], "datatype": "UINT8"}]},
            413,
            "megapixels",
        ),
        (
            {"inputs": [{"name": "pixels", "shape": [1, 9, 9, 4], "datatype": "UINT8"}]},
            422,
            "[N, height, width, 3]",
        ),
        (
            {"inputs": [{"name": "pixels", "shape": [1, 9, 9, 3], "datatype": "UINT8"}]},
            400,
            "243 whole numbers",
        ),
    ],
)
def test_a_wrong_request_is_refused_in_the_protocols_words(client, png, change, status, detail):
    answer = client.post("/v2/models/cells/infer", json={**image_request(png), **change})
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert detail in answer.json()["error"]


def test_an_unknown_model_and_an_unknown_path_are_404_in_the_protocols_words(client):
    for path in ("/v2/models/nope", "/v2/models/nope/ready", "/v2/nope"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]


def test_a_body_that_is_too_large_or_compressed_is_refused(start):
    client = start(max_bytes=1000)
    path = "/v2/models/cells/infer"
    assert client.post(path, content=bytes(200_000)).status_code == 413
    assert client.post(path, content=b"x", headers={"Content-Encoding": "gzip"}).status_code == 415


def test_a_length_that_reaches_past_the_body_is_refused(client):
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "image",
                    "shape": [1],
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": 6},
                }
            ]
        }
    ).encode()
    answer = client.post(
        "/v2/models/cells/infer",
        content=head + struct.pack("<I", 2**32 - 1) + b"xx",
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("is_binary", [True, False])
def test_tritons_own_client_gets_mask_and_metadata(serve, counted_model, png, is_binary):
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    address = serve(counted_model).removeprefix("http://")
    client = triton.InferenceServerClient(address)
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("cells")
        assert client.get_server_metadata()["name"] == "maskzoo"
        assert client.get_model_metadata("cells")["outputs"][0]["name"] == "mask"
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))[None]
        given = triton.InferInput("pixels", list(pixels.shape), "UINT8")
        given.set_data_from_numpy(pixels, binary_data=is_binary)
        wished = triton.InferRequestedOutput("mask", binary_data=is_binary)
        answer = client.infer("cells", [given], outputs=[wished], request_id="7")
        assert answer.get_response()["id"] == "7"
        mask = answer.as_numpy("mask")
        assert mask.shape == (1, 40, 60)
        assert (mask == 1).sum() == 200
        encoded = triton.InferInput("image", [1], "BYTES")
        element = png if is_binary else text_of(png).encode()
        encoded.set_data_from_numpy(np.array([element], np.object_), binary_data=is_binary)
        assert (client.infer("cells", [encoded]).as_numpy("mask") == 1).sum() == 200
        with pytest.raises(triton.InferenceServerException, match="unknown model 'nope'"):
            client.infer("nope", [given])
    finally:
        client.close()


@pytest.mark.parametrize(
    ("outputs", "num_images", "json_numbers", "is_taken"),
    [
        ([], 1, 2400, True),
        ([], 1, 2399, False),
        ([{"name": "mask"}, {"name": "confidence"}], 1, 4800, True),
        ([{"name": "mask"}, {"name": "confidence"}], 1, 4799, False),
        ([{"name": "mask"}], 2, 4800, True),
        ([{"name": "mask"}], 2, 4799, False),
        ([{"name": "mask", "parameters": {"binary_data": True}}], 1, 1, True),
        ([{"name": "png"}], 1, 1, True),
    ],
)
def test_numbers_that_json_could_not_hold_are_refused_before_the_network_runs(
    start, counted_model, png, outputs, num_images, json_numbers, is_taken
):
    client = start(counted_model, json_numbers=json_numbers)
    data = [text_of(png)] * num_images
    tensor = {"name": "image", "shape": [num_images], "datatype": "BYTES", "data": data}
    answer = client.post("/v2/models/cells/infer", json={"inputs": [tensor], "outputs": outputs})
    assert answer.status_code == (200 if is_taken else 422), answer.text[:300]
    assert (counted_model.calls > 0) is is_taken
    if not is_taken:
        assert f"an answer may hold {json_numbers}; ask for them with" in answer.text


@pytest.mark.parametrize(
    ("numbers", "max_pixels", "most", "word"),
    [
        (0, 3000, 1000, "beside 2 others"),
        (0, 3001, 1000, "beside 2 others"),
        (2, 3000, 150, "as numbers in JSON"),
        (2, 449, 149, "beside 2 others"),
        (2, 450, 150, "as numbers in JSON"),
    ],
)
def test_three_images_share_the_numbers_in_json_and_the_pixels_of_a_request(
    numbers, max_pixels, most, word
):
    limit = image_limit(numbers, num_images=3, json_numbers=900, max_pixels=max_pixels)
    assert limit.max_pixels == most
    assert word in limit.advice


@pytest.mark.parametrize(("max_pixels", "status"), [(4800, 200), (4799, 422)])
def test_the_label_maps_of_all_images_are_limited_before_the_network_runs(
    start, counted_model, png, max_pixels, status
):
    """Two files of 60 x 40 pixels, whose masks go as bytes."""
    client = start(counted_model, max_pixels=max_pixels)
    body = {
        "inputs": [
            {"name": "image", "shape": [2], "datatype": "BYTES", "data": [text_of(png)] * 2}
        ],
        "outputs": [{"name": "mask", "parameters": {"binary_data": True}}],
    }
    answer = client.post("/v2/models/cells/infer", json=body)
    assert (answer.status_code, counted_model.calls > 0) == (status, status == 200), answer.text
