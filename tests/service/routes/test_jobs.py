"""/jobs over HTTP, with a real store and real files."""

from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo.models.images.decode import decode_image
from maskzoo.service.guards.keys import hash_key
from tests.service.routes.jobs import large_image, wait_for, work_folder


def test_a_job_is_accepted_done_and_its_result_is_the_mask(start, model, body):
    client = start(model)
    accepted = client.post("/jobs", content=body)
    assert accepted.status_code == 202
    job = accepted.json()["id"]
    assert accepted.headers["location"] == f"/jobs/{job}"
    assert accepted.json()["state"] == "queued"
    done = wait_for(client, job, "done")
    assert (done["progress"], done["result"]) == (1, f"/jobs/{job}/result")
    assert (done["width"], done["height"]) == (200, 150)
    assert done["error"] is None
    assert done["expires"] > done["finished"] >= done["started"] >= done["created"]
    result = client.get(done["result"])
    assert result.headers["content-type"] == "image/png"
    assert result.headers["maskzoo-model"] == "cells"
    assert json.loads(result.headers["maskzoo-classes"]) == {"0": "background", "1": "nucleus"}
    assert len(result.content) == done["result_bytes"]
    found = np.asarray(Image.open(io.BytesIO(result.content)))
    assert (found == (large_image()[..., 0] > 127)).all()
    assert sum(model.tiles) > 4, "it went through the batcher in tiles"
    assert [path.name for path in (work_folder(client) / job).iterdir()] == ["result.png"]


@pytest.mark.parametrize(
    "query",
    [
        "format=json",
        "format=json&masks=rle,coco,polygons,png",
        "format=geojson",
        "format=npz",
        "variant=color",
        "variant=overlay",
        "variant=confidence",
        "variant=cutout",
        "format=json&mode=whole",
        "format=json&mode=tiled&classes=nucleus&threshold=0.4",
    ],
)
def test_every_form_of_a_job_is_that_of_segment(start, model, body, query):
    client = start(model)
    job = client.post(f"/jobs?{query}", content=body).json()["id"]
    wait_for(client, job, "done")
    result = client.get(f"/jobs/{job}/result")
    at_once = client.post(f"/segment?{query}", content=body)
    assert at_once.status_code == 200
    assert result.headers["content-type"] == at_once.headers["content-type"]
    if "json" in query:
        found, wanted = result.json(), at_once.json()
        for document in (found, wanted):
            for volatile in ("request_id", "timings_ms", "png"):
                document.pop(volatile, None)
        assert found == wanted
    elif "npz" not in query:
        pair = (decode_image(result.content).pixels, decode_image(at_once.content).pixels)
        assert (pair[0] == pair[1]).all()


def test_a_form_and_its_fields_are_taken_and_accept_chooses(start, model, body):
    client = start(model)
    accepted = client.post(
        "/jobs",
        files={"file": ("../große Karte.png", body)},
        data={"model": "streets", "masks": "coco"},
        headers={"Accept": "application/json"},
    )
    assert accepted.json()["options"] == {"model": "streets", "masks": "coco"}
    job = accepted.json()["id"]
    wait_for(client, job, "done")
    result = client.get(f"/jobs/{job}/result").json()
    assert result["model"] == "streets"
    assert result["coco"]["images"][0]["file_name"] == "../große Karte.png"


def test_progress_is_told_while_it_works_and_a_second_job_waits(start, held, body, wait_until):
    client = start(held)
    first, second = (client.post("/jobs", content=body).json()["id"] for _ in range(2))
    assert held.started.wait(120)
    assert client.get(f"/jobs/{second}").json()["state"] == "queued"
    running = client.get(f"/jobs/{first}")
    assert running.json()["state"] == "running"
    assert running.headers["retry-after"] == "1"
    early = client.get(f"/jobs/{first}/result")
    assert early.status_code == 409
    assert early.json()["state"] == "running"
    assert client.get("/healthz").status_code == 200
    wait_until(lambda: client.get(f"/jobs/{first}").json()["tiles"] > 4)
    held.release.set()
    for job in (first, second):
        assert wait_for(client, job, "done")["progress"] == 1


def test_events_tell_each_change_and_end_with_the_job(start, held, body):
    client = start(held)
    job = client.post("/jobs", content=body).json()["id"]
    assert held.started.wait(120)
    states = []
    with client.stream("GET", f"/jobs/{job}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        held.release.set()
        for line in stream.iter_lines():
            if line.startswith("data: "):
                states.append(json.loads(line.removeprefix("data: ")))
    assert states[0]["id"] == job
    assert states[-1]["state"] == "done"
    progress = [state["progress"] for state in states]
    assert progress == sorted(progress)
    again = client.get(f"/jobs/{job}/events")
    assert again.text.count("event: state") == 1, "an ended job is told once"


def test_a_running_job_is_cancelled_and_its_files_go(start, held, body, wait_until):
    client = start(held)
    job = client.post("/jobs", content=body).json()["id"]
    assert held.started.wait(120)
    assert client.delete(f"/jobs/{job}").status_code == 204
    assert client.get(f"/jobs/{job}").json()["state"] == "cancelled"
    held.release.set()
    next_job = client.post("/jobs", content=body).json()["id"]
    wait_for(client, next_job, "done")
    assert client.get(f"/jobs/{job}").json()["state"] == "cancelled"
    assert client.get(f"/jobs/{job}/result").status_code == 409
    assert [path.name for path in work_folder(client).iterdir()] == [next_job]
    assert client.delete(f"/jobs/{job}").status_code == 204
    assert client.get(f"/jobs/{job}").status_code == 404


def test_a_waiting_job_is_cancelled_and_never_runs(start, held, body):
    client = start(held)
    first, second = (client.post("/jobs", content=body).json()["id"] for _ in range(2))
    client.delete(f"/jobs/{second}")
    held.release.set()
    wait_for(client, first, "done")
    assert client.get(f"/jobs/{second}").json()["state"] == "cancelled"


def test_a_job_that_fails_says_why_and_the_next_one_works(start, model, body):
    client = start(model)
    good = model.logits

    def fail(images, options):
        torch.empty(2**50)  # raises what torch raises on a CPU

    model.logits = fail
    job = client.post("/jobs", content=body).json()["id"]
    failed = wait_for(client, job, "failed")
    assert failed["error"]["status"] == 507
    assert failed["error"]["instance"] == f"/jobs/{job}"
    assert failed["result"] is None
    assert client.get(f"/jobs/{job}/result").status_code == 409
    model.logits = good
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")


def test_damage_that_shows_only_when_pixels_are_read_fails_the_job(start, model, body):
    client = start(model)
    job = client.post("/jobs", content=body[: len(body) // 2]).json()["id"]
    assert wait_for(client, job, "failed")["error"]["type"].endswith("#problem-image-damaged")


def test_a_result_is_served_in_ranges_and_by_its_tag(start, model, body):
    client = start(model)
    job = client.post("/jobs", content=body).json()["id"]
    wait_for(client, job, "done")
    whole = client.get(f"/jobs/{job}/result")
    part = client.get(f"/jobs/{job}/result", headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, whole.content[:8])


def test_jobs_expire_and_their_files_with_them(start, model, body):
    client = start(model, job_keep_s=0.001)
    job = client.post("/jobs", content=body).json()["id"]
    wait_for(client, job, "done")
    time.sleep(0.01)
    client.portal.call(client.app.state.services.jobs.sweep)
    assert client.get(f"/jobs/{job}").status_code == 404
    assert list(work_folder(client).iterdir()) == []


def test_what_was_accepted_is_done_by_the_next_process(start, held, body, counted_model, tmp_path):
    counted_model.whole_pixels = 10_000
    first = start(held)
    jobs = [first.post("/jobs", content=body).json()["id"] for _ in range(3)]
    assert held.started.wait(120)
    held.release.set()
    first.__exit__(None, None, None)  # as on SIGTERM: the one in work is given back
    second = start(counted_model)
    for job in jobs:
        assert wait_for(second, job, "done")["progress"] == 1
        assert second.get(f"/jobs/{job}/result").status_code == 200


def test_a_job_is_its_owners_alone_on_every_route(start, model, body):
    keys = {name: {"Authorization": f"Bearer {name}-key"} for name in ("ann", "bob")}
    client = start(model, api_keys=" ".join(f"{name}={hash_key(f'{name}-key')}" for name in keys))
    job = client.post("/jobs", content=body, headers=keys["ann"]).json()["id"]
    path = f"/jobs/{job}"
    wait_for(client, job, "done", headers=keys["ann"])
    for method, address in [
        ("GET", path),
        ("GET", f"{path}/events"),
        ("GET", f"{path}/result"),
        ("DELETE", path),
    ]:
        answer = client.request(method, address, headers=keys["bob"])
        assert answer.status_code == 404, (method, address)
        assert answer.json()["type"].endswith("#problem-unknown-job")
    assert client.get(path, headers=keys["ann"]).json()["state"] == "done"
    assert "event: state" in client.get(f"{path}/events", headers=keys["ann"]).text
    assert client.get(f"{path}/result", headers=keys["ann"]).status_code == 200
    assert client.delete(path, headers=keys["ann"]).status_code == 204
    assert client.get(path, headers=keys["ann"]).status_code == 404


def test_where_jobs_are_off_every_route_says_so_and_nothing_is_opened(start, tmp_path, png):
    client = start(jobs=False)
    for method, path in (
        ("POST", "/jobs"),
        ("GET", f"/jobs/{'0' * 32}"),
        ("GET", f"/jobs/{'0' * 32}/result"),
        ("DELETE", f"/jobs/{'0' * 32}"),
    ):
        answer = client.request(method, path, content=png if method == "POST" else None)
        assert answer.status_code == 503
        assert "MASKZOO_JOBS is off" in answer.json()["detail"]
    assert not (tmp_path / "state").exists()
