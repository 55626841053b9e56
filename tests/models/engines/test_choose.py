"""Which engine runs a bundle, and what is said of the others."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import pytest

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.check import CheckImages
from maskzoo.models.engines.choose import EXPORTED, open_engine
from maskzoo.models.errors import EngineError, UnknownNameError
from tests.models import tiny


@pytest.mark.parametrize("fast", ["openvino", "onnxruntime"])
def test_of_two_that_agree_the_faster_one_runs(
    exported: Path, monkeypatch: pytest.MonkeyPatch, fast: str
) -> None:
    monkeypatch.setattr(
        "maskzoo.models.engines.choose._seconds",
        lambda artefact, *_: 1.0 if artefact.record.engine == fast else 2.0,
    )
    assert open_engine(exported, read_manifest(exported), device="cpu").name == fast


def test_without_an_export_torch_runs_and_the_log_says_what_would_be_faster(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = tiny.bundle(tmp_path / "tiny")
    with caplog.at_level(logging.INFO):
        engine = open_engine(bundle, read_manifest(bundle), device="cpu")
    assert engine.name == "torch"
    assert f"maskzoo export {bundle}" in caplog.text


def test_an_engine_that_disagrees_is_not_taken_and_the_log_says_why(
    copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("openvino-fp32", "onnxruntime-fp32"):
        folder = copied / "engines" / name
        check = CheckImages.load(folder / "check.npz")
        CheckImages(check.pixels, [(one + 1) % 3 for one in check.label_maps]).save(
            folder / "check.npz"
        )
        record = json.loads((folder / "engine.json").read_text())
        record["files"]["check.npz"] = hashlib.sha256(
            (folder / "check.npz").read_bytes()
        ).hexdigest()
        (folder / "engine.json").write_text(json.dumps(record))
    engine = open_engine(copied, read_manifest(copied), device="cpu")
    assert engine.name == "torch"
    assert "gives torch's class for 0.000% of the check pixels" in caplog.text
    with pytest.raises(EngineError, match="export it again"):
        open_engine(copied, read_manifest(copied), engine="openvino")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "torch-compile"])
def test_an_engine_needs_torch_s_class_for_999_of_1000_pixels(
    exported: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    manifest = read_manifest(exported)
    monkeypatch.setattr(CheckImages, "agreement", lambda *_: 0.9995)
    assert open_engine(exported, manifest, engine=name, device="cpu").name == name
    monkeypatch.setattr(CheckImages, "agreement", lambda *_: 0.9985)
    with pytest.raises(EngineError, match=r"99\.850% of the check pixels, less than 99\.9%"):
        open_engine(exported, manifest, engine=name, device="cpu")


@pytest.mark.parametrize(("agreement", "taken"), [(0.9985, {"torch"}), (0.9995, set(EXPORTED))])
def test_auto_takes_torch_where_no_engine_agrees_enough(
    exported: Path, monkeypatch: pytest.MonkeyPatch, agreement: float, taken: set[str]
) -> None:
    monkeypatch.setattr(CheckImages, "agreement", lambda *_: agreement)
    assert open_engine(exported, read_manifest(exported), device="cpu").name in taken


def test_an_engine_that_fails_on_the_check_images_is_not_taken(
    exported: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shape inference failed")

    monkeypatch.setattr("maskzoo.models.engines.openvino.OpenVinoEngine.run", fail)
    manifest = read_manifest(exported)
    assert open_engine(exported, manifest, device="cpu").name == "onnxruntime"
    assert "openvino cannot run the check images: shape inference failed" in caplog.text
    with pytest.raises(EngineError, match="shape inference failed"):
        open_engine(exported, manifest, engine="openvino")


@pytest.mark.parametrize(
    ("engine", "cure"),
    [
        ("openvino", "--engine openvino"),
        ("onnxruntime", "--engine onnxruntime"),
        ("openvino-int8", "--precision int8 --calibrate DATA"),
    ],
)
def test_an_engine_that_was_asked_for_and_not_exported_names_the_command(
    tmp_path: Path, engine: str, cure: str
) -> None:
    bundle = tiny.bundle(tmp_path / "tiny")
    with pytest.raises(EngineError, match=cure):
        open_engine(bundle, read_manifest(bundle), engine=engine)


def test_an_unknown_engine_is_answered_with_the_known_ones(exported: Path) -> None:
    with pytest.raises(UnknownNameError, match="openvino"):
        open_engine(exported, read_manifest(exported), engine="openvin")
