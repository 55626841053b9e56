"""Whole runs on a tiny data set: they learn, end with a bundle, and survive trouble."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
import yaml

import maskzoo.training.run.build
import maskzoo.training.run.fit
from maskzoo import load_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import SpecError, ZooError
from maskzoo.training.config.load import load_config
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.run.checkpoint import CheckpointError, read_run_checkpoint
from maskzoo.training.run.fit import TrainResult, prepare, run_steps, train
from maskzoo.training.scoring.bundle import evaluate_bundle

MakeConfig = Callable[..., TrainConfig]
MakeData = Callable[..., Path]
IGNORE = 255


@pytest.fixture(scope="module")
def result(discs: Path, tiny: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run of 24 steps."""
    config = tiny(
        "max_steps=24",
        "validate_every=6",
        "optimizer.lr=0.02",
        "ema=0.9",
        "augment.colour=0",
        "augment.scale=[1, 1]",
    )
    return train(discs, config, run_dir=tmp_path_factory.mktemp("runs") / "one")


def test_a_run_lowers_the_loss(result: TrainResult) -> None:
    losses = [
        row["loss"] for row in read_log(result.run_dir / "log.jsonl") if row["kind"] == "train"
    ]
    assert len(losses) == 24
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])


def test_the_bundle_says_where_it_comes_from(discs: Path, tiny: MakeConfig, tmp_path: Path) -> None:
    licences = ("bundle.data_licence=CC0-1.0", "bundle.weights_licence=Apache-2.0")
    done = train(
        discs, tiny("max_steps=1", *licences, "bundle.description=finds discs"), run_dir=tmp_path
    )
    facts = read_manifest(done.bundle).provenance
    assert (facts.data_licence, facts.weights_licence) == ("CC0-1.0", "Apache-2.0")
    assert facts.description == "finds discs"
    assert facts.command.startswith(f"maskzoo train {discs} epochs=100 max_steps=1 ")
    assert load_config(shlex.split(facts.command)[3:]).bundle.description == "finds discs"
    card = (done.bundle / "README.md").read_text()
    assert all(text in card for text in ("CC0-1.0", "Apache-2.0", "finds discs"))
    again = train(
        discs, load_config(["bundle.data_licence=MIT"]), run_dir=tmp_path, resume=True
    )  # what the bundle says may change without another training
    after = read_manifest(again.bundle).provenance
    changes = {"data_licence", "created", "recipe"}
    assert after.model_dump(exclude=changes) == facts.model_dump(exclude=changes)
    assert after.data_licence == "MIT"


def test_a_run_leaves_what_its_folder_promises(result: TrainResult) -> None:
    names = {path.name for path in result.run_dir.iterdir()}
    assert names == {
        *("config.yaml", "plan.json", "log.jsonl", "last.ckpt", "previous.ckpt"),
        *("best.safetensors", "bundle", "predictions.png", "evaluation.json", "report.html"),
        *("metrics.csv", "tensorboard", "validation.npz"),
    }
    assert "auto" not in yaml.safe_load((result.run_dir / "config.yaml").read_text()).values()
    assert load_config(file=result.run_dir / "config.yaml").optimizer.lr == 0.02
    keys = {row["key"] for row in json.loads((result.run_dir / "plan.json").read_text())}
    assert "loss.class_weights" in keys
    assert "optimizer.lr" not in keys  # it was given


def test_evaluate_gives_exactly_the_metrics_in_the_bundle(result: TrainResult, discs: Path) -> None:
    stored = read_manifest(result.bundle).metrics
    again = evaluate_bundle(result.bundle, discs, split="test", device="cpu").to_json()
    rows = [row.model_dump() for row in stored.per_class]
    assert json.loads(json.dumps(again["per_class"])) == rows
    for key in ("mean_iou", "mean_dice", "pixel_accuracy", "pixels_counted", "data_fingerprint"):
        assert again[key] == getattr(stored, key), key
    assert stored.split == "test"
    assert stored.pixels_counted == 3 * 48 * 48


def test_the_best_validation_is_what_evaluate_finds_on_that_split(
    result: TrainResult, discs: Path
) -> None:
    rows = [row for row in read_log(result.run_dir / "log.jsonl") if row["kind"] == "val"]
    best = max(row["mean_iou"] for row in rows)
    assert read_manifest(result.bundle).metrics.validation_mean_iou == best
    score = evaluate_bundle(result.bundle, discs, split="val", device="cpu").scores.mean_iou
    assert score == pytest.approx(best, abs=2e-3)  # the bundle's weights are rounded to float16


def test_a_bundle_of_float32_scores_exactly_as_the_validation(
    discs: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    result = train(discs, tiny("bundle.dtype=float32"), run_dir=tmp_path)
    score = evaluate_bundle(result.bundle, discs, split="val", device="cpu").scores.mean_iou
    assert score == read_manifest(result.bundle).metrics.validation_mean_iou


def test_the_bundle_holds_the_best_weights(result: TrainResult) -> None:
    from safetensors.torch import load_file

    best = load_file(result.run_dir / "best.safetensors")
    stored = load_bundle(result.bundle).network.state_dict()
    for name, value in best.items():
        rounded = value.half().float() if value.ndim >= 2 else value
        assert torch.equal(stored[name], rounded.to(value.dtype)), name


def test_one_seed_gives_one_result(discs: Path, tiny: MakeConfig, tmp_path: Path) -> None:
    runs = [train(discs, tiny("max_steps=3"), run_dir=tmp_path / name) for name in "ab"]
    hashes = {read_manifest(run.bundle).weights_sha256 for run in runs}
    other = train(discs, tiny("max_steps=3", "seed=1"), run_dir=tmp_path / "c")
    assert len(hashes) == 1
    assert read_manifest(other.bundle).weights_sha256 not in hashes


def test_a_folder_that_holds_a_run_is_not_written_over(
    result: TrainResult, discs: Path, tiny: MakeConfig
) -> None:
    with pytest.raises(ZooError, match="already holds a run: continue it with --resume"):
        train(discs, tiny(), run_dir=result.run_dir)


def test_there_is_nothing_to_resume_in_an_empty_folder(discs: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        train(discs, run_dir=tmp_path, resume=True)


def test_class_weights_must_be_one_for_each_class(
    discs: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="needs 2 numbers, one for each of ground, disc; given 3"):
        train(discs, tiny("loss.class_weights=[1, 2, 3]"), run_dir=tmp_path)


def test_the_first_checkpoint_is_written_by_all_ranks_whoever_comes_first(
    discs: Path, tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = prepare(discs, tiny("validate_every=100"), run_dir=tmp_path)
    (tmp_path / "last.ckpt").write_bytes(b"rank 0 was faster")
    found = []

    def look(status: object) -> None:
        found.append(read_run_checkpoint(tmp_path / "last.ckpt").progress.step)

    monkeypatch.setattr(parts.context.display, "update", look)
    run_steps(parts, until=1)
    assert found == [0]


def _ignore_all(number: int, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, np.full_like(mask, IGNORE) if number in (0, 4, 5) else mask


def test_images_in_which_nothing_counts_do_no_harm(
    make_data: MakeData, tiny: MakeConfig, tmp_path: Path
) -> None:
    root = make_data(alter=_ignore_all)
    done = train(root, tiny("batch_size=1", "loader.crop_size=64"), run_dir=tmp_path)
    losses = [row["loss"] for row in read_log(tmp_path / "log.jsonl") if row["kind"] == "train"]
    assert all(loss is not None for loss in losses)
    assert read_run_checkpoint(tmp_path / "last.ckpt").progress.bad_steps == 0
    assert (done.bundle / "bundle.json").is_file()


def test_batches_of_one_and_images_smaller_than_the_crop_train(
    make_data: MakeData, tiny: MakeConfig, tmp_path: Path
) -> None:
    root = make_data(size=(40, 56))
    config = tiny("batch_size=3", "runtime.micro_batch=2", "loader.crop_size=[64, 96]")
    train(root, config, run_dir=tmp_path)  # the last micro-batch of each step is one image
    assert read_run_checkpoint(tmp_path / "last.ckpt").progress.step == 6


class _Scarce(SegmentationLoss):
    """A loss on a device that holds two images."""

    def forward(self, output: Any, target: torch.Tensor) -> Any:
        if len(target) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(output, target)


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_batch(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    display: Display,
    shown: Callable[[], str],
) -> None:
    train(discs, tiny("batch_size=8", "runtime.micro_batch=2"), run_dir=tmp_path / "small")
    monkeypatch.setattr(maskzoo.training.run.build, "SegmentationLoss", _Scarce)
    train(
        discs,
        tiny("batch_size=8", "runtime.micro_batch=8"),
        run_dir=tmp_path / "halved",
        display=display,
    )
    assert shown().count("out of memory") == 2
    assert "4 instead of 8 images at once" in shown()
    assert "2 instead of 4 images at once" in shown()
    small, halved = (
        read_run_checkpoint(tmp_path / name / "last.ckpt") for name in ("small", "halved")
    )
    assert halved.progress == small.progress
    for name, value in small.model.items():
        assert torch.equal(halved.model[name], value), name


class _NoMemory(SegmentationLoss):
    def forward(self, output: Any, target: torch.Tensor) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")


def test_out_of_memory_with_one_image_says_what_to_do(
    discs: Path, tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maskzoo.training.run.build, "SegmentationLoss", _NoMemory)
    with pytest.raises(ZooError, match=r"out of memory with 1 image.*loader\.crop_size"):
        train(discs, tiny("loader.crop_size=64"), run_dir=tmp_path)


def _failing(*bad: int) -> type[SegmentationLoss]:
    """Return a loss that is NaN in the steps `bad`, counted from 0."""

    class Failing(SegmentationLoss):
        calls = 0

        def forward(self, output: Any, target: torch.Tensor) -> Any:
            total, parts = super().forward(output, target)
            Failing.calls += 1
            return (total * float("nan") if Failing.calls - 1 in bad else total), parts

    return Failing


def test_a_loss_that_is_no_number_rolls_back_and_halves_the_rate(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    display: Display,
    shown: Callable[[], str],
) -> None:
    monkeypatch.setattr(maskzoo.training.run.build, "SegmentationLoss", _failing(5))
    config = tiny("schedule.warmup=0", "optimizer.lr=0.001", "max_steps=8")
    train(discs, config, run_dir=tmp_path, display=display)
    assert "step 6 gave a loss or gradient that is not finite" in shown()
    assert "weights are back at step 4" in shown()
    progress = read_run_checkpoint(tmp_path / "last.ckpt").progress
    assert (progress.step, progress.bad_steps, progress.lr_scale) == (8, 1, 0.5)
    rows = [row for row in read_log(tmp_path / "log.jsonl") if row["kind"] == "train"]
    assert [row["loss"] is None for row in rows] == [False] * 5 + [True] + [False] * 2
    assert rows[6]["lr"][0] == pytest.approx(0.0005 * (1 - 6 / 8) ** 0.9)
    kept = torch.load(tmp_path / "bad_batch_6_rank0.pt", weights_only=True)
    assert kept["images"].shape == (4, 3, 32, 32)
    assert kept["target"].shape == (4, 32, 32)


def test_a_run_gives_up_after_too_many_steps_without_a_number(
    discs: Path, tiny: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maskzoo.training.run.build, "SegmentationLoss", _failing(1, 2, 3))
    with pytest.raises(ZooError, match=r"gave up after 3 steps .*lower optimizer\.lr"):
        train(discs, tiny("max_bad_steps=3"), run_dir=tmp_path)


def test_a_run_without_progress_stops_early(discs: Path, tiny: MakeConfig, tmp_path: Path) -> None:
    config = tiny("early_stop=2", "validate_every=1", "optimizer.lr=1e-12", "max_steps=100")
    train(discs, config, run_dir=tmp_path)
    progress = read_run_checkpoint(tmp_path / "last.ckpt").progress
    assert progress.stale == 2
    assert progress.step < 100
    before = read_run_checkpoint(tmp_path / "last.ckpt").model
    train(discs, run_dir=tmp_path, resume=True)  # writes the bundle again, takes no step
    after = read_run_checkpoint(tmp_path / "last.ckpt")
    assert after.progress == progress
    assert all(torch.equal(after.model[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    ("accelerator", "has_gpu", "precision"),
    [("auto", True, "high"), ("cuda", True, "high"), ("cpu", True, None), ("auto", False, None)],
)
def test_tf32_is_set_on_a_gpu_so_that_lightning_prints_no_hint(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, has_gpu: bool, precision: str | None
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr("maskzoo.training.run.fit.Fabric", MagicMock())
    runtime = SimpleNamespace(
        accelerator=accelerator, devices=1, num_nodes=1, precision="32", deterministic=False
    )
    maskzoo.training.run.fit._launch(runtime)
    assert asked == ([precision] if precision else [])


def test_lightning_tells_nothing_of_its_own(tmp_path: Path) -> None:
    """In a process of its own: its loggers write to the error output that they found at import."""
    code = (
        "from types import SimpleNamespace\n"
        "from maskzoo.training.run.fit import _launch\n"
        "_launch(SimpleNamespace(accelerator='cpu', devices=1, num_nodes=1, precision='bf16',\n"
        "                        deterministic=False))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
