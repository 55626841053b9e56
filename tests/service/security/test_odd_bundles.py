"""Odd bundles: one of them never breaks the list of models, nor the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maskzoo.models.bundles.manifest import MANIFEST_FILE

Change = Callable[[dict[str, Any]], object]


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


METRICS: dict[str, Change] = {
    "text": lambda manifest: manifest["metrics"].update(mean_iou="very good"),
    "nan": lambda manifest: manifest["metrics"].update(mean_iou=float("nan")),
    "infinity": lambda manifest: manifest["metrics"].update(mean_iou=float("-inf")),
    "a list": lambda manifest: manifest["metrics"].update(mean_iou=[1]),
    "null": lambda manifest: manifest.update(metrics=None),
    "unknown nan": lambda manifest: manifest["metrics"].update(mine=[float("nan")]),
    "unknown surrogate": lambda manifest: manifest["metrics"].update(mine="\ud800"),
    "unknown huge": lambda manifest: manifest["metrics"].update(mine=10**4000),
    "deep": lambda manifest: manifest["provenance"].update(mine=deep(400)),
    "class surrogate": lambda manifest: manifest["labels"].update(names=["a", "\udfff"]),
    "class of 5000": lambda manifest: manifest["labels"].update(names=["a", "n" * 5000]),
    "class of lines": lambda manifest: manifest["labels"].update(names=["a", "b\r\nX-Evil: 1"]),
    "no name": lambda manifest: manifest.update(name="\ud800"),
    "unknown network": lambda manifest: manifest["spec"].update(architecture="x" * 10**6),
    "huge option": lambda manifest: manifest["spec"].update(options={"x": 10**4000}),
}

RAW = {
    "empty": b"",
    "zeros": bytes(1000),
    "deeper": b"[" * 200_000,
    "a list": b"[]",
    "latin-1": '{"name": "ä"}'.encode("latin-1"),
}


@pytest.fixture(name="folder")
def folder_fixture(bundles, tmp_path) -> Path:
    """A folder with a good bundle, `streets`, and another, `odd`, for a test to change."""
    folder = tmp_path / "served"
    shutil.copytree(bundles / "streets", folder / "streets")
    shutil.copytree(bundles / "cells", folder / "odd")
    return folder


def check(client) -> None:
    """All that lists or describes models answers in good JSON, and the good model works."""
    for path in ("/models", "/models/streets", "/models/odd", "/models/cells", "/readyz", "/v2"):
        answer = client.get(path)
        assert answer.status_code in (200, 404, 503), answer.text
        json.loads(answer.content, parse_constant=pytest.fail)
    names = [model["name"] for model in client.get("/models").json()["models"]]
    assert "streets" in names
    assert len(names) == 2
    assert client.get("/v2/models").json()["models"].count("streets") == 1


@pytest.mark.parametrize("change", METRICS)
def test_an_odd_record_is_a_failed_model_or_a_good_one(start, folder, png, change):
    file = folder / "odd" / MANIFEST_FILE
    manifest = json.loads(file.read_bytes())
    METRICS[change](manifest)
    file.write_text(json.dumps(manifest))
    client = start(bundles=(folder,), default_model="streets")
    check(client)
    for model in client.get("/models").json()["models"]:
        answer = client.post("/segment", params={"model": model["name"]}, content=png)
        assert answer.status_code == (503 if model["state"] == "failed" else 200), answer.text
        assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("raw", RAW)
def test_an_unreadable_record_is_a_failed_model(start, folder, raw):
    (folder / "odd" / MANIFEST_FILE).write_bytes(RAW[raw])
    client = start(bundles=(folder,), default_model="streets")
    check(client)
    (odd,) = [one for one in client.get("/models").json()["models"] if one["name"] == "odd"]
    assert odd["state"] == "failed"
    assert len(odd["reason"]) < 2000


def test_a_class_name_without_a_bound_is_refused_and_the_reason_is_short(start, folder):
    file = folder / "odd" / MANIFEST_FILE
    manifest = json.loads(file.read_bytes())
    METRICS["class of 5000"](manifest)
    file.write_text(json.dumps(manifest))
    client = start(bundles=(folder,), default_model="streets")
    (odd,) = [one for one in client.get("/models").json()["models"] if one["name"] == "odd"]
    assert odd["state"] == "failed"
    assert "has 5000 characters; 1 to 100 are allowed" in odd["reason"]
    assert len(odd["reason"]) < 500
