"""POST /segment with JSON bodies, with several images, and its multipart answers."""

from __future__ import annotations

import base64
import email.policy
import io
import json
from email.message import EmailMessage
from email.parser import BytesParser

import numpy as np
import pytest
from PIL import Image

from maskzoo.service.inputs.fetching import Fetcher

BAD = b"no image at all"


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def labels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def parts_of(answer) -> list[EmailMessage]:
    """Read a multipart answer by the standard library's parser."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.content)
    assert not message.defects
    return list(message.iter_parts())


@pytest.mark.parametrize("wrap", [text_of, lambda png: f"data:image/png;base64,{text_of(png)}"])
def test_base64_in_json_gives_the_same_mask_as_the_bytes(client, png, wrap):
    answer = client.post("/segment", json={"image": wrap(png)})
    assert answer.status_code == 200, answer.text
    assert np.array_equal(
        labels_of(answer.content), labels_of(client.post("/segment", content=png).content)
    )


def test_options_are_members_of_the_body(client, png):
    body = {"image": text_of(png), "format": "json", "model": "streets", "masks": "none"}
    body |= {"probabilities": False, "opacity": 0.5, "name": "a.png"}
    assert client.post("/segment", json=body).json()["model"] == "streets"


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{", 400, "not valid JSON"),
        (b"[" * 100_000, 400, "more than 20000 values"),
        (b"[1]", 400, "a JSON list"),
        (b"{}", 400, "no image"),
        (b'{"images": []}', 400, "no image"),
        (b'{"images": "a"}', 400, "no image"),
        (b'{"image": ""}', 400, "empty"),
        (b'{"image": "!!"}', 400, "not base64"),
        (b'{"image": "data:image/png,abc"}', 400, "must be base64"),
        (b'{"image": 5}', 422, "images.0.image"),
        (b'{"image": null}', 422, "either 'image'"),
        (b'{"image": "aGk=", "url": "https://a/b"}', 422, "either 'image'"),
        (b'{"image": "aGk=", "images": []}', 400, "as well as"),
        (b'{"image": "aGk=", "modle": "cells"}', 422, "unknown option 'modle'"),
        (b'{"image": "aGk=", "masks": [1]}', 422, "masks"),
        (b'{"image": "aGk="}', 400, "not a readable image"),
        (b'{"url": "https://a/b"}', 403, "takes no urls"),
    ],
)
def test_a_wrong_json_body_is_refused_in_words(client, body, status, detail):
    headers = {"Content-Type": "application/json"}
    answer = client.post("/segment", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert detail in answer.json()["detail"]


def test_base64_of_too_many_bytes_is_a_413(start):
    client = start(max_bytes=3000)
    for size in (3001, 200_000):
        answer = client.post("/segment", json={"image": text_of(bytes(size))})
        assert answer.status_code == 413
        assert answer.json()["max_bytes"] == 3000


def test_a_url_is_not_fetched_from_this_machine_even_where_urls_are_allowed(start):
    answer = start(url_input=True).post("/segment", json={"url": "http://127.0.0.1/a.png"})
    assert answer.status_code == 403
    assert "not on the public internet" in answer.json()["detail"]


@pytest.mark.parametrize(("body_bytes", "status"), [(10**6, 200), (2000, 503)])
def test_what_is_fetched_counts_as_a_body_while_it_is_in_memory(
    start, png, monkeypatch, body_bytes, status
):
    client = start(url_input=True, max_bytes=1000, body_bytes=body_bytes)
    budget = client.app.state.services.bodies
    held = []

    async def fetch(self, url, *, max_bytes, count):
        for _ in range(3):
            count(50_000)
        held.append(budget.used)
        return png

    monkeypatch.setattr(Fetcher, "fetch", fetch)
    answer = client.post("/segment", json={"url": "https://there/a.png"})
    assert answer.status_code == status, answer.text
    assert [used >= 150_000 for used in held] == [True] * (status == 200)
    assert budget.used == 0


def test_answers_to_many_images_have_a_limit_of_bytes_together(start, png):
    client = start(many_bytes=1500)
    one = len(client.post("/segment?format=png", content=png).content)
    assert one < 1500 < 20 * one
    files = [("file", ("a.png", png))] * 16
    parts = parts_of(client.post("/segment?format=png", files=files))
    statuses = [part["Maskzoo-Status"] for part in parts]
    assert statuses.count("200") == 1500 // one
    assert set(statuses) == {"200", "422"}


def test_several_files_give_one_outcome_each_in_order(client, png):
    files = [("file", ("a.png", png)), ("file", ("b.png", BAD)), ("file", ("c.png", png))]
    answer = client.post("/segment?format=json", files=files)
    assert answer.status_code == 200, answer.text
    first, second, third = answer.json()
    assert (first["name"], first["status"]) == ("a.png", 200)
    assert first["result"]["classes"][1]["pixels"] == 200
    assert (second["name"], second["status"]) == ("b.png", 400)
    assert second["problem"]["type"].endswith("image-undecodable")
    assert third["result"]["classes"] == first["result"]["classes"]


def test_several_images_run_as_one_batch(start, counted_model, png):
    start(counted_model).post("/segment", files=[("file", png)] * 4)
    assert sum(counted_model.batches) == 4
    assert max(counted_model.batches) > 1


def test_a_list_of_one_in_json_is_answered_by_a_list(client, png):
    answer = client.post("/segment?format=json", json={"images": [{"image": text_of(png)}]})
    assert [outcome["status"] for outcome in answer.json()] == [200]


def test_several_masks_come_as_parts_with_what_failed_in_its_place(client, png):
    files = [("file", ("ä\r\nX: y.png", png)), ("file", ("b.png", BAD))]
    answer = client.post("/segment?format=png", files=files)
    mask, problem = parts_of(answer)
    assert mask.get_content_type() == "image/png"
    assert labels_of(mask.get_payload(decode=True))[10, 20] == 1
    assert json.loads(mask["Maskzoo-Classes"]) == {"0": "background", "1": "nucleus"}
    assert "X" not in mask
    assert (problem["Maskzoo-Index"], problem["Maskzoo-Status"]) == ("1", "400")
    assert json.loads(problem.get_payload(decode=True))["status"] == 400


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("*/*", "application/json"), ("multipart/mixed", "multipart/mixed"), (None, None)],
)
def test_accept_chooses_between_an_array_and_parts(client, png, accept, kind):
    headers = {"Accept": accept} if accept else {}
    answer = client.post("/segment", files=[("file", png)] * 2, headers=headers)
    assert answer.headers["content-type"].startswith(kind or "application/json")


def test_an_accept_that_holds_no_list_is_a_406(client, png):
    answer = client.post("/segment", files=[("file", png)] * 2, headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert answer.json()["offered"] == ["application/json", "multipart/mixed"]


def test_too_many_images_are_refused(start, png):
    client = start(max_images=2)
    assert client.post("/segment", files=[("file", png)] * 2).status_code == 200
    assert client.post("/segment", files=[("file", png)] * 3).status_code == 400
    listed = [{"image": text_of(png)}] * 3
    assert "at most 2" in client.post("/segment", json={"images": listed}).json()["detail"]


def test_images_that_fill_the_server_together_wait_for_each_other(start, png):
    from maskzoo.service.scheduling.admission import MIN_COST_PX

    client = start(queue_pixels=MIN_COST_PX)
    answer = client.post("/segment?format=json", files=[("file", png)] * 4)
    assert [outcome["status"] for outcome in answer.json()] == [200] * 4


def test_a_model_that_is_not_there_is_one_mistake_and_not_many(client, png):
    answer = client.post("/segment?model=nope", files=[("file", png)] * 2)
    assert answer.status_code == 404


def test_one_image_as_parts_is_its_json_and_its_png(client, png):
    for wish in ({"headers": {"Accept": "multipart/mixed"}}, {"params": {"format": "mixed"}}):
        result, mask = parts_of(client.post("/segment", content=png, **wish))
        document = json.loads(result.get_payload(decode=True))
        assert document["classes"][1]["pixels"] == 200
        assert "mask" not in document["classes"][1]
        assert (labels_of(mask.get_payload(decode=True)) == 1).sum() == 200
