"""/jobs over HTTP, with a real store and real files."""

from __future__ import annotations

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from maskzoo.models.images.decode import decode_image
from maskzoo.service.guards.keys import hash_key


def large_image(height: int = 150, width: int = 200) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    bright = (rows // 17 + columns // 23) % 2 == 0
    return np.where(bright, 220, 20).astype(np.uint8)[..., None].repeat(3, axis=2)


@pytest.fixture(name="model")
def model_fixture(counted_model):
    counted_model.whole_pixels = 10_000
    return counted_model


@pytest.fixture(name="held")
def held_fixture(held_model):
    """A model whose tiles wait until `release` is set."""
    held_model.whole_pixels = 10_000
    free = held_model.logits

    def logits(images, options):
        held_model.started.set()
        assert held_model.release.wait(120)
        return free(images, options)

    held_model.logits = logits
    return held_model


@pytest.fixture(name="body", scope="module")
def body_fixture(encode):
    return encode(large_image())


def wait_for(client, job: str, *states: str) -> dict:
    deadline = time.monotonic() + 120
    while True:
        document = client.get(f"/jobs/{job}").json()
        if document["state"] in states:
            return document
        assert time.monotonic() < deadline, document
        time.sleep(0.01)


def work_folder(client) -> Path:
    return client.app.state.services.settings.job_folder / "work"


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


def test_a_refusal_names_the_clients_file_and_not_the_servers(start, model, body):
    client = start(model)
    files = {"file": ("scene.png", b"hello")}
    assert client.post("/jobs", files=files).json()["detail"].startswith("scene.png is not a")
    for name, data in (("cut.png", body[: len(body) // 2]), ("cut.tif", _cut_tiff())):
        job = client.post("/jobs", files={"file": (name, data)}).json()["id"]
        detail = wait_for(client, job, "failed")["error"]["detail"]
        assert detail.startswith(f"{name} is ")
        assert "upload" not in detail


def _cut_tiff() -> bytes:
    """A TIFF whose last strips are missing."""
    stream = io.BytesIO()
    options = {"photometric": "rgb", "rowsperstrip": 16, "compression": "zlib"}
    tifffile.imwrite(stream, large_image(), **options)
    return stream.getvalue()[:-200]


def test_damage_that_shows_only_when_pixels_are_read_fails_the_job(start, model, body):
    client = start(model)
    job = client.post("/jobs", content=body[: len(body) // 2]).json()["id"]
    assert wait_for(client, job, "failed")["error"]["type"].endswith("#problem-image-damaged")


@pytest.mark.parametrize(
    ("content", "query", "status", "kind"),
    [
        (b"", "", 400, "bad-request"),
        (b"no image at all", "", 400, "image-undecodable"),
        (None, "model=nothing", 404, "unknown-model"),
        (None, "mode=sideways", 422, "bad-parameter"),
        (None, "classes=unicorn", 422, "bad-parameter"),
        (None, "format=npz&probabilities=true", 422, "bad-parameter"),
        (None, "format=json&variant=color", 422, "bad-parameter"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once_and_leaves_nothing(
    start, model, body, content, query, status, kind
):
    client = start(model)
    answer = client.post(f"/jobs?{query}", content=body if content is None else content)
    assert answer.status_code == status
    assert answer.json()["type"].endswith(f"#problem-{kind}")
    folder = client.app.state.services.settings.job_folder
    assert [*folder.glob("incoming/*"), *folder.glob("work/*")] == []


def test_bodies_of_other_types_compressed_or_without_a_file_are_refused(start, model, body):
    client = start(model)
    for headers, status in [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "image/svg+xml"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Accept": "text/html"}, 406),
    ]:
        assert client.post("/jobs", content=body, headers=headers).status_code == status
    assert client.post("/jobs", files={"other": ("a.png", body)}).status_code == 400
    assert client.post("/jobs", files={"file": ("a.png", b"")}).status_code == 400


def test_too_many_bytes_or_pixels_for_a_job_are_a_413(start, model, body):
    client = start(model, job_max_bytes=100)
    assert client.post("/jobs", content=body).json()["max_bytes"] == 100
    assert client.post("/jobs", files={"file": ("a.png", body * 500)}).status_code == 413
    client = start(model, job_max_pixels=1000)
    answer = client.post("/jobs", content=body)
    assert answer.status_code == 413
    assert (answer.json()["max_pixels"], answer.json()["width"]) == (1000, 200)
    num_pixels = answer.json()["width"] * answer.json()["height"]
    for limit, status in ((num_pixels - 1, 413), (num_pixels, 202)):
        client = start(model, job_max_pixels=limit)
        assert client.post("/jobs", content=body).status_code == status


@pytest.mark.parametrize(("bands", "status"), [(1, 202), (2, 422), (3, 202), (4, 422)])
def test_bands_that_are_no_colours_are_refused_before_a_job_begins(start, model, bands, status):
    client = start(model)
    stream = io.BytesIO()
    samples = np.zeros((40, 50, bands) if bands > 1 else (40, 50), np.uint16)
    planar = "contig" if bands > 1 else None
    tifffile.imwrite(stream, samples, photometric="minisblack", planarconfig=planar)
    answer = client.post("/jobs", content=stream.getvalue(), headers={"content-type": "image/tiff"})
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["type"].endswith("image-bands")
        assert f"has {bands} bands and 3" in answer.json()["detail"]


def test_segment_above_its_limit_names_jobs_unless_a_job_could_not_help(start, model, body):
    client = start(model, max_pixels=10_000)
    answer = client.post("/segment", content=body)
    assert answer.status_code == 413
    assert answer.json()["jobs"] == "/jobs"
    assert "POST /jobs" in answer.json()["detail"]
    wait_for(client, client.post("/jobs", content=body).json()["id"], "done")
    client = start(model, max_pixels=10_000, job_max_pixels=10_000)
    assert "jobs" not in client.post("/segment", content=body).json()


def test_a_full_queue_is_a_503_and_a_full_disk_a_507(start, held, body):
    client = start(held, max_jobs=1)
    client.post("/jobs", content=body)
    refused = client.post("/jobs", content=body)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    held.release.set()
    client = start(held, job_free_bytes=2**60)
    assert client.post("/jobs", content=body).status_code == 507


def test_a_folder_that_cannot_be_used_switches_jobs_off_and_nothing_else(
    start, model, body, tmp_path, png
):
    (tmp_path / "file").write_text("in the way")
    client = start(model, state_folder=tmp_path / "file")
    answer = client.post("/jobs", content=body)
    assert answer.status_code == 503
    assert "MASKZOO_STATE_FOLDER" in answer.json()["detail"]
    assert str(tmp_path) not in answer.text
    assert client.post("/segment", content=png).status_code == 200
    assert client.get("/jobs/" + "0" * 32).status_code == 404


@pytest.mark.parametrize("name", ["0" * 32, "nothing", "..%2f..%2fetc", "0" * 31 + "G"])
def test_a_job_that_is_not_there_is_not_found(client, name):
    for path in (f"/jobs/{name}", f"/jobs/{name}/result", f"/jobs/{name}/events"):
        assert client.get(path).status_code in (404, 422)
    assert client.delete(f"/jobs/{name}").status_code in (404, 422)
    assert not client.app.state.services.settings.job_folder.exists(), "nothing was made for it"


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


def test_a_job_has_a_limit_of_corners_of_its_own(start, model, body):
    client = start(model, job_max_corners=4)
    assert client.post("/segment?format=geojson", content=body).status_code == 200
    job = client.post("/jobs?format=geojson", content=body).json()["id"]
    failed = wait_for(client, job, "failed")
    assert failed["error"]["type"].endswith("#problem-too-many-corners")
    assert failed["error"]["max_corners"] == 4


@pytest.mark.parametrize("run_pixels", [2400, 2399])
def test_a_job_that_takes_more_than_is_allowed_is_refused_at_once(start, png, run_pixels):
    client = start(run_pixels=run_pixels)
    answer = client.post("/jobs?mode=whole", content=png)
    if run_pixels == 2400:
        wait_for(client, answer.json()["id"], "done")
    else:
        assert answer.status_code == 422
        assert "2399 are allowed, of pixels in one run of the network" in answer.json()["detail"]
        left = client.app.state.services.settings.job_folder.rglob("*")
        assert not [path for path in left if path.is_file() and path.read_bytes() == png]


def test_a_job_is_its_owners_alone_on_every_route(start, model, body):
    keys = {name: {"Authorization": f"Bearer {name}-key"} for name in ("ann", "bob")}
    client = start(model, api_keys=" ".join(f"{name}={hash_key(f'{name}-key')}" for name in keys))
    job = client.post("/jobs", content=body, headers=keys["ann"]).json()["id"]
    path = f"/jobs/{job}"
    deadline = time.monotonic() + 120
    while client.get(path, headers=keys["ann"]).json()["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.01)
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


def test_of_sixty_jobs_at_once_as_many_are_accepted_as_there_are_places(start, held, body):
    client = start(held, max_jobs=3)
    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda _: client.post("/jobs", content=body), range(60)))
    held.release.set()
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [503] * 57
    for answer in answers:
        assert int(answer.headers["retry-after"]) >= 1


def test_room_is_reserved_by_what_is_announced_and_by_what_the_image_will_need(
    start, model, body, monkeypatch
):
    client = start(model, job_max_bytes=2**60)
    with monkeypatch.context() as patched:
        patched.setattr("maskzoo.service.jobs.room._BYTES_PER_PIXEL", 2**50)
        assert client.post("/jobs", content=body).status_code == 507
    assert client.post("/jobs", content=body).status_code == 202
    assert client.post("/jobs", content=iter([body])).status_code == 507, "it may be anything"
