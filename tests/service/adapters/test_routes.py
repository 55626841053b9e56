"""Hugging Face, Label Studio and CVAT over HTTP."""

from __future__ import annotations

import asyncio
import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image

from maskzoo.service.adapters import cvat, huggingface, label_studio
from maskzoo.service.adapters.label_studio_images import find_image
from maskzoo.service.answering import order as order_module
from maskzoo.service.errors import UploadTooLargeError, UrlFailedError, UrlRefusedError
from maskzoo.service.settings import Settings

CONFIG = """<View><Image name="image" value="$photo"/>
<BrushLabels name="tag" toName="image"><Label value="nucleus"/></BrushLabels></View>"""


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def mask_of(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def expected_mask() -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[5:15, 10:30] = True
    return mask


def test_hugging_faces_form_has_a_mask_for_each_class(client, png):
    raw = client.post("/huggingface/cells", content=png, headers={"Content-Type": "image/png"})
    as_json = client.post("/huggingface/cells", json={"inputs": text_of(png)})
    assert raw.json() == as_json.json()
    background, nucleus = raw.json()
    assert (background["label"], nucleus["label"]) == ("background", "nucleus")
    assert nucleus["score"] == pytest.approx(0.5 + (220 - 127.5) / 255, abs=1e-3)
    assert np.array_equal(mask_of(nucleus["mask"]), expected_mask() * 255)


def test_hugging_faces_threshold_leaves_out_what_is_below(client, png):
    body = {"inputs": text_of(png), "parameters": {"threshold": 0.9, "subtask": "semantic"}}
    assert [item["label"] for item in client.post("/huggingface/cells", json=body).json()] == [
        "background"
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": 5}, 400),
        ({"inputs": ""}, 400),
        ({"inputs": "aGk="}, 400),
        ({"inputs": "aGk=", "parameters": {"subtask": "panoptic"}}, 422),
        ({"inputs": "aGk=", "parameters": {"threshold": 7}}, 422),
        ([], 400),
    ],
)
def test_hugging_faces_wrong_requests_have_an_error_in_words(client, body, status):
    answer = client.post("/huggingface/cells", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_hugging_faces_own_client_reads_the_answer(serve, counted_model, png, monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    address = serve(counted_model)
    client = hub.InferenceClient(model=f"{address}/huggingface/cells", token="x")
    for parameters in ({}, {"threshold": 0.5}):
        found = client.image_segmentation(png, **parameters)
        assert [item.label for item in found] == ["background", "nucleus"]
        assert np.array_equal(np.asarray(found[1].mask) > 0, expected_mask())


def test_a_nuclio_detector_gives_boxes_of_pixels(client, png):
    body = {"image": text_of(png), "threshold": 0.5}
    (shape,) = client.post("/cvat/cells", json=body).json()
    assert (shape["label"], shape["type"]) == ("nucleus", "mask")
    assert shape["mask"] == [1] * 200 + [10, 5, 29, 14]
    assert sorted(zip(shape["points"][::2], shape["points"][1::2], strict=True)) == [
        *((10, 5), (10, 15), (30, 5), (30, 15)),
    ]
    (stored,) = client.post("/cvat/cells?format=rle", json=body).json()
    assert stored["points"] == [0, 200, 10, 5, 29, 14]
    assert client.post("/cvat/cells", json={**body, "threshold": 0.99}).json() == []
    assert client.post("/cvat/cells", json={}).status_code == 400
    assert [label["name"] for label in client.get("/cvat/cells").json()["spec"]] == ["nucleus"]


def predict(client, *photos: str, path: str = "/label-studio/cells/predict"):
    tasks = [{"id": number, "data": {"photo": photo}} for number, photo in enumerate(photos)]
    return client.post(path, json={"tasks": tasks, "label_config": CONFIG, "project": "1.2"})


def test_label_studio_is_told_that_the_backend_is_there(client):
    assert client.get("/label-studio/health").json()["status"] == "UP"
    assert client.get("/label-studio/cells/health").json()["status"] == "UP"
    setup = {"project": "1", "schema": CONFIG, "hostname": "http://x", "access_token": "y"}
    version = client.post("/label-studio/cells/setup", json=setup).json()["model_version"]
    assert version.startswith("cells@")
    assert client.post("/label-studio/setup", json=setup).json()["model_version"] == version


def test_label_studio_gets_brushes_for_the_labels_it_has(client, png):
    answer = predict(client, f"data:image/png;base64,{text_of(png)}")
    document = answer.json()
    assert document["model_version"].startswith("cells@")
    (prediction,) = document["results"]
    (result,) = prediction["result"]
    assert (result["type"], result["from_name"], result["to_name"]) == (
        *("brushlabels", "tag", "image"),
    )
    assert (result["original_width"], result["original_height"]) == (60, 40)
    assert result["value"]["brushlabels"] == ["nucleus"]
    assert result["value"]["format"] == "rle"
    assert result["value"]["rle"][:4] == list((4 * 2400).to_bytes(4, "big"))
    assert prediction["score"] == result["score"] == pytest.approx(0.863, abs=1e-3)


@pytest.mark.parametrize(
    ("label", "stored"),
    [
        ('<Label value="Nucleus"/>', "Nucleus"),
        ('<Label value="cell" alias="nucleus"/>', "nucleus"),
    ],
)
def test_label_studios_labels_match_in_other_case_and_by_alias(client, png, label, stored):
    answer = predict_with(client, png, label)
    assert [item["value"]["brushlabels"] for item in answer["result"]] == [[stored]]


def test_labels_that_are_no_class_are_an_error_that_lists_labels_and_classes(client, png, caplog):
    answer = predict_with(client, png, '<Label value="cell"/>')
    assert answer["result"] == []
    assert "none of the 1 labels ('cell') is a class of the model" in answer["error"]
    assert "'nucleus'" in answer["error"]
    assert "none of the 1 labels" in caplog.text


def predict_with(client, png: bytes, label: str) -> dict[str, object]:
    """Return the prediction of one task under a configuration with one label."""
    config = CONFIG[: CONFIG.index("<Label")] + label + CONFIG[CONFIG.index("</BrushLabels>") :]
    task = {"id": 1, "data": {"photo": f"data:image/png;base64,{text_of(png)}"}}
    body = {"tasks": [task], "label_config": config}
    (answer,) = client.post("/label-studio/cells/predict", json=body).json()["results"]
    return answer


def test_a_task_that_fails_does_not_hurt_the_others(client, png):
    good = f"data:image/png;base64,{text_of(png)}"
    bad = ["data:image/png;base64,aGk=", "/data/1.png", "http://127.0.0.1/a", "file:///x", ""]
    results = predict(client, *bad, good).json()["results"]
    assert [bool(item["result"]) for item in results] == [False] * 5 + [True]
    assert all(item["error"] for item in results[:5])
    assert "MASKZOO_LABEL_STUDIO_URL" in results[1]["error"]
    assert "takes no urls" in results[2]["error"]


def test_label_studios_config_without_brushes_is_a_422(client):
    answer = client.post("/label-studio/predict", json={"tasks": [], "label_config": "<View/>"})
    assert answer.status_code == 422
    assert "BrushLabels" in answer.json()["detail"]


class LabelStudio:
    """A Label Studio that has one image, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Serve /data/a.png; send everything else elsewhere."""
        self.asked.append((str(request.url), request.headers.get("authorization")))
        if request.url.path == "/data/a.png":
            return httpx.Response(200, stream=httpx.ByteStream(b"bytes"))
        return httpx.Response(302, headers={"Location": "http://10.0.0.1/"})

    def find(self, place: str, **settings: object) -> bytes:
        """Find the image of a task."""
        known = {"label_studio_url": "http://studio:8080/", "label_studio_token": "t0ken"}
        found = find_image(
            {"data": {"photo": place}},
            "photo",
            Settings(**{**known, **settings}),
            transport=httpx.MockTransport(self.answer),
        )
        return asyncio.run(found).data


def test_images_of_label_studio_are_fetched_there_with_its_token_and_nowhere_else():
    studio = LabelStudio()
    assert studio.find("/data/a.png") == b"bytes"
    assert studio.asked == [("http://studio:8080/data/a.png", "Token t0ken")]
    with pytest.raises(UrlFailedError, match="answered 302"):
        studio.find("/data/b.png")
    with pytest.raises(UploadTooLargeError):
        studio.find("/data/a.png", max_bytes=4)
    asked = len(studio.asked)
    for place in ("//elsewhere/a.png", "http://studio:8080/data/a.png", "ftp://studio/a"):
        with pytest.raises(UrlRefusedError):
            studio.find(place)
    assert len(studio.asked) == asked


@pytest.mark.parametrize(
    ("path", "needs"),
    [
        ("/huggingface/cells", huggingface.NEEDS),
        ("/label-studio/predict", label_studio.NEEDS),
        ("/cvat/cells?format=rle", cvat.needs_of("rle", flat_pixels=5000)),
        ("/cvat/cells", cvat.needs_of("flat", flat_pixels=5000)),
    ],
)
def test_each_protocol_counts_the_memory_of_its_own_answer(start, png, monkeypatch, path, needs):
    counted = []
    cost_of = order_module.cost_of

    def cost_noted(plan, options, model, needs, **more):
        counted.append(needs)
        return cost_of(plan, options, model, needs, **more)

    monkeypatch.setattr(order_module, "cost_of", cost_noted)
    image = text_of(png)
    body = {
        "inputs": image,
        "image": image,
        "tasks": [{"data": {"photo": f"data:image/png;base64,{image}"}}],
        "label_config": CONFIG,
    }
    answer = start(flat_pixels=5000).post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert counted == [needs]


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/huggingface/cells", "inputs"),
        ("/cvat/cells?format=rle", "image"),
        ("/segment?format=json", "image"),
        ("/segment?format=json&masks=coco", "image"),
    ],
)
def test_a_mask_of_more_runs_than_are_written_is_refused_in_words(start, png, path, member):
    """The mask of the fixture has 21 runs by rows and 41 by columns."""
    for max_runs, status in ((41, 200), (20, 422)):
        answer = start(max_runs=max_runs).post(path, json={member: text_of(png)})
        assert answer.status_code == status, answer.text
    assert answer.json()["type"].endswith("#problem-too-many-runs")
    assert answer.json()["max_runs"] == 20
    assert "ask for format=png" in answer.json()["detail"]


def test_a_mask_of_many_runs_is_a_png_a_tiff_and_a_json_without_masks(start, png):
    client = start(max_runs=1)
    for query in ("format=png", "format=tiff", "format=npz", "format=json&masks=none"):
        assert client.post(f"/segment?{query}", content=png).status_code == 200, query
