"""What `maskzoo doctor` reports."""

from __future__ import annotations

import importlib.metadata

import pytest

from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.service.doctor import Diagnosis, examine


@pytest.fixture(autouse=True)
def one_bundle(monkeypatch):
    """Each takes seconds to open."""
    bundle = find_bundle("aerial")
    monkeypatch.setattr("maskzoo.models.bundles.shipped.list_bundles", lambda: [bundle])


def test_the_doctor_names_what_is_on_and_off(monkeypatch):
    monkeypatch.setenv("MASKZOO_URL_INPUT", "true")
    monkeypatch.setenv("MASKZOO_DEVICE", "cpu")
    diagnosis = examine()
    assert diagnosis.service["image by url"] == "on"
    assert diagnosis.service["admin routes"] == "off"
    assert diagnosis.packages["fastapi"]
    assert diagnosis.problems == []
    assert diagnosis.bundles["aerial"].startswith("openvino on cpu, weights fp16, computes in ")
    assert "it gives torch's classes" in diagnosis.bundles["aerial"]


def test_the_doctor_lists_the_encoders_that_start_trained_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setattr("maskzoo.models.bundles.shipped.list_bundles", list)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--timm--resnet18.a1_in1k" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"")
    refs = tmp_path / "models--timm--resnet18.a1_in1k" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    diagnosis = examine()
    assert diagnosis.encoders["tu-mobilenetv2_100"] == "encoder_weights=builtin"
    assert diagnosis.encoders["tu-resnet18"] == "encoder_weights=imagenet"
    assert len(diagnosis.encoders) == 4, "smp has a resnet18 too, which is built by timm"
    assert "tu-resnet18: encoder_weights=imagenet" in diagnosis.table()


def test_the_doctor_finds_a_wrong_setting_and_a_missing_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MASKZOO_BUNDLES", str(tmp_path / "gone"))
    diagnosis = examine()
    assert any("gone" in problem for problem in diagnosis.problems)
    assert "which is not a folder\n" in diagnosis.table()
    monkeypatch.setenv("MASKZOO_MAX_BYTES", "many")
    assert any("max_bytes" in problem for problem in examine().problems)


def test_a_package_that_is_missing_is_a_problem_only_where_it_is_needed(monkeypatch):
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in ("uvicorn", "onnxruntime"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.setattr("maskzoo.models.bundles.shipped.list_bundles", list)
    diagnosis = examine()
    assert diagnosis.packages["onnxruntime"] == "not installed (optional: maskzoo[onnx])"
    assert diagnosis.problems == ["uvicorn is not installed: maskzoo serve cannot run"]


def test_a_bundle_that_does_not_open_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr("maskzoo.models.bundles.shipped.list_bundles", lambda: [tmp_path / "x"])
    diagnosis = examine()
    assert diagnosis.bundles == {}
    assert diagnosis.problems[0].startswith("x: ")


def test_the_table_says_that_nothing_is_wrong():
    assert Diagnosis("3.11", 2).table().endswith(f"{'problems':<28}none\n")
