"""GET /models and /models/{name}."""

from __future__ import annotations

import shutil

from starlette.testclient import TestClient

from maskzoo.service.app import create_app
from maskzoo.service.settings import Settings


def test_the_list_has_each_model_with_its_classes_and_the_limits(client):
    body = client.get("/models").json()
    cells, streets = body["models"]
    assert body["default"] == "cells"
    assert (cells["default"], streets["default"]) == (True, False)
    assert (cells["name"], cells["state"], cells["architecture"]) == ("cells", "ready", "unet")
    assert cells["classes"][1] == {"id": 1, "name": "nucleus", "colour": "#28c878"}
    assert cells["background"] == 0
    assert body["limits"] == {
        "max_bytes": 32 * 2**20,
        "max_pixels": 50_000_000,
        "job_max_bytes": 2**30,
        "job_max_pixels": 400_000_000,
    }


def test_one_model_shows_its_whole_record(client):
    body = client.get("/models/streets").json()
    assert body["manifest"]["labels"]["names"] == ["road", "building", "tree"]
    assert body["manifest"]["spec"]["encoder"] == "tu-test_resnet"
    assert len(body["manifest"]["weights_sha256"]) == 64


def test_an_unknown_model_is_a_404(client):
    answer = client.get("/models/street")
    assert answer.status_code == 404
    assert answer.json()["suggestions"] == ["streets"]


def test_a_broken_bundle_shows_its_reason_and_takes_no_other_down(
    bundles, tmp_path, start, png, wait_until
):
    for name in ("cells", "streets"):
        shutil.copytree(bundles / name, tmp_path / name)
    (tmp_path / "cells" / "bundle.json").write_text("{ not json")
    client = start(bundles=(tmp_path,))
    states = {model["name"]: model for model in client.get("/models").json()["models"]}
    assert states["cells"]["state"] == "failed"
    assert states["cells"]["reason"]
    assert str(tmp_path) not in states["cells"]["reason"]
    assert states["streets"]["state"] == "ready"
    assert client.get("/readyz").status_code == 200
    assert client.post("/segment", content=png).headers["maskzoo-model"] == "streets"
    refused = client.post("/segment?model=cells", content=png)
    assert refused.status_code == 503
    assert refused.json()["type"].endswith("model-broken")
    assert client.get("/models/cells").json()["manifest"] is None


def test_a_server_without_bundles_says_what_to_do(start, tmp_path, png):
    client = start(bundles=(tmp_path,), preload=False)
    assert client.get("/models").json()["models"] == []
    answer = client.post("/segment", content=png)
    assert answer.status_code == 503
    assert "MASKZOO_BUNDLES" in answer.json()["detail"]
    assert client.get("/readyz").status_code == 503


def test_each_model_says_which_engine_runs_it_and_why(bundles, wait_until):
    settings = Settings(bundles=(bundles,), shipped_bundles=False, device="cpu")
    with TestClient(create_app(settings)) as client:
        wait_until(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/models/cells").json()["engine"] == {
            "name": "torch",
            "precision": "float32",
            "weights": "fp32",
            "device": "cpu",
            "reason": "it was not exported for a CPU engine",
        }
