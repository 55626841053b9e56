"""/jobs over HTTP: what is refused, with which status, and what it leaves."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from tests.service.routes.jobs import large_image, wait_for


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


@pytest.mark.parametrize("name", ["0" * 32, "nothing", "..%2f..%2fetc", "0" * 31 + "G"])
def test_a_job_that_is_not_there_is_not_found(client, name):
    for path in (f"/jobs/{name}", f"/jobs/{name}/result", f"/jobs/{name}/events"):
        assert client.get(path).status_code in (404, 422)
    assert client.delete(f"/jobs/{name}").status_code in (404, 422)
    assert not client.app.state.services.settings.job_folder.exists(), "nothing was made for it"


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
