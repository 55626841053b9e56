"""`POST /jobs` where the model is not in memory: checked like any other, or refused for now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from maskzoo.models.errors import BundleError
from maskzoo.service.app import create_app
from maskzoo.service.routes import jobs
from maskzoo.service.settings import Settings

Begin = Callable[..., TestClient]


@pytest.fixture(name="begin")
def begin_fixture(bundles: Path, tmp_path: Path) -> Iterator[Begin]:
    """Start a service that loads no model until one is asked for."""
    with ExitStack() as stack:

        def begin(load: Callable[[Path], object], **settings: object) -> TestClient:
            known = {
                "bundles": (bundles,),
                "shipped_bundles": False,
                "state_folder": tmp_path / "state",
                "job_free_bytes": 0,
                "preload": False,
                "default_model": "cells",
                **settings,
            }
            return stack.enter_context(TestClient(create_app(Settings(**known), load_model=load)))

        yield begin


def kept(client: TestClient, body: bytes) -> list[Path]:
    """Return the files of the state folder that hold an upload."""
    files = client.app.state.services.settings.job_folder.rglob("*")
    return [path for path in files if path.is_file() and path.read_bytes() == body]


@pytest.mark.parametrize(("run_pixels", "status"), [(2400, 202), (2399, 422)])
def test_a_job_for_a_model_that_is_not_loaded_is_checked_against_every_limit(
    begin, counted_model, png, run_pixels, status
):
    client = begin(lambda _: counted_model, run_pixels=run_pixels)
    answer = client.post("/jobs?mode=whole", content=png)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert (counted_model.calls, kept(client, png)) == (0, [])


@pytest.mark.parametrize("is_form", [False, True])
def test_a_job_for_a_model_that_still_loads_is_to_come_again(begin, counted_model, png, is_form):
    release = threading.Event()

    def load(path: Path) -> object:
        assert release.wait(30)
        return counted_model

    client = begin(load, load_wait_s=0.05)
    body = {"files": {"file": png}} if is_form else {"content": png}
    answer = client.post("/jobs", **body)
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("#problem-model-loading")
    assert int(answer.headers["Retry-After"]) >= 1
    assert kept(client, png) == []
    release.set()
    while client.post("/jobs", **body).status_code != 202:
        pass


def test_a_job_for_a_model_that_cannot_be_loaded_is_refused_with_a_time_to_retry(begin, png):
    def load(path: Path) -> object:
        raise BundleError("its weights are damaged")

    client = begin(load)
    answer = client.post("/jobs", content=png)
    assert (answer.status_code, "damaged" in answer.json()["detail"]) == (503, True)
    assert int(answer.headers["Retry-After"]) >= 1
    assert kept(client, png) == []


def test_a_raw_upload_is_not_received_where_its_model_is_missing(
    begin, counted_model, png, monkeypatch
):
    received = []
    receive = jobs.receive

    async def receive_noted(*args: object, **options: object) -> object:
        received.append(True)
        return await receive(*args, **options)

    monkeypatch.setattr(jobs, "receive", receive_noted)
    client = begin(lambda _: counted_model)
    assert client.post("/jobs?model=none", content=png).status_code == 404
    assert received == []
    assert client.post("/jobs?model=cells", content=png).status_code == 202
    assert received == [True]


def test_the_model_of_a_form_is_that_of_its_fields(begin, counted_model, png):
    def load(path: Path) -> object:
        if "cells" in path.name:
            raise BundleError("its weights are damaged")
        return counted_model

    client = begin(load)
    answer = client.post("/jobs", files={"file": png}, data={"model": "streets"})
    assert answer.status_code == 202, answer.text
