"""Which engine runs a bundle, and what is said of the others."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

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
    monkeypatch.setattr(torch, "compile", lambda forward, **_: forward)  # what is asked is the same
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


@pytest.fixture
def with_int8(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that stores an engine as int8 with a score; int8 is the fastest."""

    def store(**score: object) -> Path:
        folder = copied / "engines" / "openvino-int8"
        shutil.copytree(copied / "engines" / "openvino-fp32", folder)
        record = json.loads((folder / "engine.json").read_text())
        usual = {"data": "d", "split": "val", "images": 40, "mean_iou_torch": 0.8, "mean_iou": 0.8}
        record |= {"precision": "int8", "score": usual | score}
        (folder / "engine.json").write_text(json.dumps(record))
        return copied

    monkeypatch.setattr(
        "maskzoo.models.engines.choose._seconds",
        lambda artefact, *_: 1.0 if artefact.record.precision == "int8" else 2.0,
    )
    return store


@pytest.mark.parametrize("mean_iou", [0.82, 0.8, 0.79905])
def test_int8_is_taken_where_its_own_score_is_as_good_as_torchs(
    with_int8: Callable[..., Path], mean_iou: float
) -> None:
    bundle = with_int8(mean_iou=mean_iou)
    choice = open_engine(bundle, read_manifest(bundle), device="cpu").choice
    assert choice is not None
    assert choice.weights == "int8"
    assert f"40 images of val is {100 * mean_iou:.2f}, torch's 80.00" in choice.reason
    assert "the fastest of 3" in choice.reason


@pytest.mark.parametrize(
    ("score", "why"),
    [
        ({"mean_iou": 0.7985}, "it lost 0.15 points of mean IoU on val, and 0.1 may be"),
        ({"images": 19}, "it was scored on 19 images only, and 20 are needed"),
    ],
)
def test_int8_is_left_out_with_the_reason_where_its_score_does_not_speak_for_it(
    with_int8: Callable[..., Path], score: dict[str, object], why: str
) -> None:
    bundle = with_int8(**score)
    choice = open_engine(bundle, read_manifest(bundle), device="cpu").choice
    assert choice is not None
    assert choice.weights != "int8"
    assert f"int8 is not taken: {why}" in choice.reason


def test_the_bound_of_int8_is_the_callers(with_int8: Callable[..., Path]) -> None:
    bundle = with_int8(mean_iou=0.78)
    manifest = read_manifest(bundle)
    for bound, weights in ((2.1, "int8"), (1.9, "fp32"), (-100, "fp32")):
        choice = open_engine(bundle, manifest, device="cpu", max_int8_loss=bound).choice
        assert choice is not None
        assert choice.weights == weights


def test_int8_without_a_score_runs_only_where_it_is_asked_for(
    with_int8: Callable[..., Path],
) -> None:
    bundle = with_int8()
    path = bundle / "engines" / "openvino-int8" / "engine.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"score": None}))
    manifest = read_manifest(bundle)
    choice = open_engine(bundle, manifest, device="cpu").choice
    assert choice is not None
    assert "int8 is not taken: its export has no score" in choice.reason
    asked = open_engine(bundle, manifest, engine="openvino-int8", device="cpu").choice
    assert asked is not None
    assert asked.weights == "int8"
