"""The end of a run: the bundle is exported for a faster engine, if that can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.errors import EngineError, ExportError
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.checkpoint import BEST, write_weights
from maskzoo.training.run.finish import (
    _check_images,
    finish_bundle,
    score_draft,
    scored_split,
    write_draft,
)
from maskzoo.training.run.fit import train
from maskzoo.training.run.parts import Parts

MakeConfig = Callable[..., TrainConfig]


@pytest.mark.slow
def test_the_bundle_of_a_run_runs_on_openvino_by_itself(
    discs: Path, tiny: MakeConfig, tmp_path: Path, display: Display, shown: Callable[[], str]
) -> None:
    pytest.importorskip("openvino")
    config = tiny("max_steps=1", "bundle.engine=auto")
    bundle = train(discs, config, run_dir=tmp_path / "run", display=display).bundle
    assert open_engine(bundle, read_manifest(bundle), device="cpu").name == "openvino"
    assert "exported for openvino" in shown()


@pytest.mark.parametrize(
    "error",
    [
        ExportError("ONNX export needs the extra: pip install 'maskzoo[onnx]'"),
        EngineError("openvino cannot run the check images: no kernel"),
    ],
)
def test_a_run_whose_network_cannot_be_exported_keeps_its_bundle_and_says_why(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("maskzoo.models.export.engines.export_engine", fail)
    config = tiny("max_steps=1", "bundle.engine=auto")
    bundle = train(discs, config, run_dir=tmp_path / "run", display=display).bundle
    assert read_manifest(bundle).name == "discs"
    assert f"not exported for a faster engine: {error}" in shown()


@pytest.mark.parametrize("count", [0, 2])
def test_the_export_is_checked_by_as_many_validation_images_as_may_be_kept(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    display: Display,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    given: list[np.ndarray] = []

    def keep(*_: object, images: list[np.ndarray], **__: object) -> None:
        given.extend(images)
        raise ExportError("enough seen")

    monkeypatch.setattr("maskzoo.models.export.engines.export_engine", keep)
    config = tiny("max_steps=1", "bundle.engine=auto", f"bundle.check_images={count}")
    train(discs, config, run_dir=tmp_path / "run", display=display)
    data = open_dataset(discs)
    images = [data.read(sample)[0] for sample in data.samples("val")]
    assert len(given) == count
    assert all(any(np.array_equal(part, image) for image in images) for part in given)


def test_the_bundle_keeps_the_crop_by_which_large_images_are_tiled(
    discs: Path, tiny: MakeConfig, tmp_path: Path, display: Display
) -> None:
    config = tiny("max_steps=1", "loader.crop_size=[32, 48]")
    bundle = train(discs, config, run_dir=tmp_path / "run", display=display).bundle
    preprocessing = read_manifest(bundle).preprocessing
    network = load_bundle(bundle).network
    assert preprocessing.train_size == (32, 48)
    assert (preprocessing.mean, preprocessing.std) == (network.encoder.mean, network.encoder.std)


def test_a_run_without_a_test_split_is_scored_on_its_validation_images(discs: Path) -> None:
    data = open_dataset(discs)
    assert scored_split(data) == "test"
    kept = tuple(sample for sample in data.all_samples if sample.split != "test")
    assert scored_split(replace(data, all_samples=kept)) == "val"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_best_weights_are_scored_and_stored_as_asked(
    make_parts: Callable[..., Parts], dtype: str
) -> None:
    parts = make_parts("ema=null", f"bundle.dtype={dtype}")
    key = "classifier.conv.bias"
    best = parts.network.state_dict()[key] + torch.tensor([9.0, 0.0])
    last = {name: value.clone() for name, value in parts.network.state_dict().items()}
    parts.network.load_state_dict(last | {key: best})
    write_weights(parts.context.run_dir / BEST, parts.network)
    parts.network.load_state_dict(last)
    parts.progress.step, parts.progress.best_step, parts.progress.best_score = 6, 4, 0.25
    bundle = write_draft(parts)
    manifest = read_manifest(bundle)
    assert (manifest.weights_dtype, manifest.provenance.best_step) == (dtype, 4)
    assert manifest.provenance.steps == 6
    assert torch.equal(load_bundle(bundle).network.state_dict()[key], best.half().float())
    _, evaluation = score_draft(parts, bundle, on_scored=lambda scored: None)
    assert evaluation.matrix[:, 1].sum() == 0, "the best weights call everything class 0"
    metrics = finish_bundle(parts, bundle, evaluation)
    assert read_manifest(parts.context.run_dir / "bundle").metrics == metrics
    assert metrics.validation_mean_iou == 0.25


@pytest.mark.parametrize(("count", "chosen"), [(0, []), (3, [0, 3, 6]), (99, list(range(10)))])
def test_check_images_are_spread_over_the_validation_images(count: int, chosen: list[int]) -> None:
    data = SimpleNamespace(
        samples=lambda split: list(range(10)) if split == "val" else [],
        read=lambda sample: (np.full((4, 4, 3), sample), None),
    )
    parts = SimpleNamespace(
        context=SimpleNamespace(data=data),
        config=SimpleNamespace(bundle=SimpleNamespace(check_images=count)),
    )
    found = _check_images(parts)  # type: ignore[arg-type]
    assert [int(image[0, 0, 0]) for image in found] == chosen
