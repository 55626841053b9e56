"""int8: calibrated on training images, scored beside torch, refused if it lost too much."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from maskzoo import Predictor
from maskzoo.models.bundles.bundle import Bundle, load_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.artefact import PrecisionScore
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.errors import DataError, ExportError
from maskzoo.models.export.engines import to_openvino
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.fit import train
from maskzoo.training.scoring import quantize as module
from maskzoo.training.scoring.evaluate import count_pixels
from maskzoo.training.scoring.quantize import export_int8
from maskzoo.training.scoring.sparing import SparingPredictor

openvino = pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def trained(
    make_data: Callable[..., Path],
    tiny: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """A bundle that tells discs from ground, and its data."""
    data = make_data()
    run_dir = tmp_path_factory.mktemp("int8") / "run"
    result = train(
        data, tiny("max_steps=30"), run_dir=run_dir, display=Display(Console(file=io.StringIO()))
    )
    return result.bundle, data


@pytest.mark.slow
def test_int8_is_stored_with_both_scores_and_runs_where_it_is_asked_for(
    trained: tuple[Path, Path],
) -> None:
    pytest.importorskip("nncf")
    bundle, data = trained
    lines: list[str] = []
    artefact = export_int8(bundle, data, max_drop=100, notify=lines.append)
    score = artefact.record.score
    assert score is not None
    assert (score.split, score.images) == ("val", 3)
    opened = open_dataset(data)
    for engine, stored in (("torch", score.mean_iou_torch), ("openvino-int8", score.mean_iou)):
        predictor = Predictor.from_bundle(bundle, engine=engine, device="cpu")
        matrix = count_pixels(SparingPredictor(predictor), opened, opened.samples("val"))
        assert matrix.scores(opened.labels.names).mean_iou == pytest.approx(stored)
    assert open_engine(bundle, read_manifest(bundle), device="cpu").name == "torch"
    assert "calibrating on 10 images" in lines


@pytest.fixture(scope="module")
def exported(trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network for OpenVINO as it is, which takes seconds."""
    folder = tmp_path_factory.mktemp("exported")
    network = load_bundle(trained[0]).network
    openvino.save_model(to_openvino(network), folder / "model.xml", compress_to_fp16=False)
    return folder


@pytest.fixture
def unrounded(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the quantization: nothing is rounded, so that only scores decide."""

    def quantize(bundle: Bundle, data: SegmentationData, path: Path) -> None:
        for file in exported.iterdir():
            shutil.copy(file, path.parent)

    monkeypatch.setattr(module, "_quantize", quantize)


@pytest.mark.usefixtures("unrounded")
@pytest.mark.parametrize(
    ("change", "max_drop", "is_stored"),
    [(-0.6, 0.5, False), (-0.4, 0.5, True), (0.6, 0.5, True), (0.6, 0, True), (-0.6, 0.7, True)],
)
def test_int8_is_refused_if_it_is_worse_by_more_than_allowed_and_stored_if_it_is_better(
    trained: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    change: float,
    max_drop: float,
    is_stored: bool,
) -> None:
    bundle, data = trained
    score = PrecisionScore(
        data="d", split="val", images=3, mean_iou_torch=0.7, mean_iou=0.7 + change / 100
    )
    monkeypatch.setattr(module, "_score", lambda *_: score)
    if is_stored:
        artefact = export_int8(bundle, data, max_drop=max_drop, out=tmp_path)
        assert artefact.record.score == score
        assert artefact.record.precision == "int8"
    else:
        with pytest.raises(ExportError, match=r"loses 0\.60 points .* \(70\.00 -> 69\.40\), more"):
            export_int8(bundle, data, max_drop=max_drop, out=tmp_path)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unrounded")
def test_the_split_that_was_asked_for_is_scored(
    trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle, data = trained
    asked: list[str] = []

    def note(bundle: Bundle, data: SegmentationData, split: str, *_: object) -> PrecisionScore:
        asked.append(split)
        return PrecisionScore(data="d", split=split, images=3, mean_iou_torch=0.7, mean_iou=0.7)

    monkeypatch.setattr(module, "_score", note)
    for split in ("test", "val"):
        export_int8(bundle, data, split=split, out=tmp_path)  # type: ignore[arg-type]
    assert asked == ["test", "val"]


def test_it_is_calibrated_and_scored_on_the_splits_of_the_training(
    trained: tuple[Path, Path],
    make_data: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The bundle of another seed, on data without splits of its own."""
    flat = make_data()
    for kind in ("images", "masks"):
        for path in sorted((flat / kind).rglob("*.png")):
            path.rename(flat / kind / path.name)
        for split in ("train", "val", "test"):
            (flat / kind / split).rmdir()
    bundle = tmp_path / "discs"
    shutil.copytree(trained[0], bundle)
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["provenance"]["recipe"]["seed"] = 3
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    opened: list[SegmentationData] = []

    def stop(bundle: Bundle, data: SegmentationData, path: Path) -> None:
        opened.append(data)
        raise ExportError("stopped")

    monkeypatch.setattr(module, "_quantize", stop)
    with pytest.raises(ExportError, match="stopped"):
        export_int8(bundle, flat)
    assert opened[0].splits == open_dataset(flat, seed=3).splits
    assert opened[0].splits != open_dataset(flat, seed=0).splits


def test_it_is_calibrated_on_images_of_the_training(trained: tuple[Path, Path]) -> None:
    bundle, data = trained
    batches = list(module._calibration_batches(load_bundle(bundle), open_dataset(data)))
    assert len(batches) == 10, "the validation has three"
    assert {batch.shape for batch in batches} == {(1, 3, 48, 48)}


def test_data_with_other_classes_is_refused_before_any_work(
    trained: tuple[Path, Path], make_data: Callable[..., Path]
) -> None:
    bundle, _ = trained
    other = make_data()
    described = other / "dataset.yaml"
    described.write_text(described.read_text().replace("disc", "square"))
    with pytest.raises(DataError, match="names and order must agree"):
        export_int8(bundle, other)
