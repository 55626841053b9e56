"""What the plan makes of data and machine, and that it leaves alone what was given."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.errors import SpecError
from training.config import TrainConfig, load_config
from training.plan import Plan, Survey, balanced_weights, crop_counts, resolve
from training.report.table import plan_table


@pytest.fixture(autouse=True)
def _cpu_without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr("training.plan.has_bf16", lambda accelerator: False)


def survey(
    size: tuple[int, int] = (300, 400), images: int = 100, pixels: tuple[int, ...] = (60, 40)
) -> Survey:
    return Survey(size, np.array(pixels), [size] * images)


def plan(*overrides: str, **seen: object) -> Plan:
    return resolve(load_config(overrides), survey(**seen), cpu_count=6)  # type: ignore[arg-type]


def test_nothing_is_left_to_decide_and_each_decision_has_a_reason() -> None:
    made = plan()
    assert "auto" not in str(made.config.model_dump(exclude={"bundle"}))
    assert made.config.bundle.name == "auto"  # named after the data at the end
    keys = [decision.key for decision in made.decisions]
    assert len(keys) == len(set(keys)) == 13
    assert all(decision.why for decision in made.decisions)
    text = plan_table(made.decisions)
    assert all(key.split(".")[-1] in text for key in keys)


def test_a_plan_of_a_resolved_configuration_changes_nothing() -> None:
    made = plan()
    again = resolve(made.config, survey(), cpu_count=1)
    assert again.config == made.config
    assert again.decisions == []


def test_what_was_given_stays() -> None:
    made = plan("batch_size=3", "optimizer.lr=0.5", "loader.crop_size=[96, 128]", "epochs=2")
    config = made.config
    assert (config.batch_size, config.optimizer.lr, config.epochs) == (3, 0.5, 2)
    assert config.loader.crop_size == (96, 128)
    assert not {"batch_size", "optimizer.lr", "loader.crop_size", "epochs"} & {
        decision.key for decision in made.decisions
    }


@pytest.mark.parametrize(
    ("size", "crop"), [((300, 400), 256), ((200, 170), 160), ((40, 30), 64), ((2000, 2000), 256)]
)
def test_the_crop_follows_the_shorter_side(size: tuple[int, int], crop: int) -> None:
    assert plan(size=size).config.loader.crop_size == crop


def test_large_images_are_cropped_more_often() -> None:
    config = plan("loader.crop_size=100").config
    sizes = [(50, 50), (100, 149), (200, 200), (1000, 1000)]
    assert crop_counts(config, sizes) == [1, 1, 4, 16]


def test_the_run_sees_about_as_many_crops_whatever_the_number_of_images() -> None:
    for images in (50, 100, 1000):
        config = plan(images=images).config
        epochs = config.epochs
        assert isinstance(epochs, int)
        crops = epochs * sum(crop_counts(config, survey(images=images).sizes))
        assert crops == pytest.approx(20_000, rel=0.3) or epochs in (5, 300)


def test_few_images_make_small_batches() -> None:
    assert plan(images=8, size=(200, 200)).config.batch_size == 2
    assert plan(images=800).config.batch_size == 8


def test_the_batch_is_shared_evenly_by_all_devices() -> None:
    config = plan("runtime.devices=3", images=100).config
    assert config.batch_size == 6
    assert config.runtime.micro_batch == 2
    assert plan("runtime.devices=4", images=3).config.batch_size == 4
    with pytest.raises(SpecError, match="batch_size 8 must be a multiple of 3 devices"):
        plan("runtime.devices=3", "batch_size=8")


@pytest.mark.parametrize(
    ("overrides", "lr", "mult"),
    [
        (["batch_size=8"], 5e-4, 1.0),
        (["batch_size=2"], 2.5e-4, 1.0),
        (["batch_size=8", "model.encoder_weights=imagenet"], 1e-4, 10.0),
        (["batch_size=8", "optimizer.name=sgd"], 0.005, 1.0),
    ],
)
def test_the_rate_follows_optimizer_encoder_and_batch(
    overrides: list[str], lr: float, mult: float
) -> None:
    optimizer = plan(*overrides).config.optimizer
    assert (optimizer.lr, optimizer.head_lr_mult) == (lr, mult)


def test_classes_are_weighted_only_if_one_is_rare() -> None:
    assert plan(pixels=(98, 2)).config.loss.class_weights is None
    weights = plan(pixels=(9950, 50)).config.loss.class_weights
    raw = [1 / math.log(1.02 + share) for share in (0.995, 0.005)]
    assert weights == pytest.approx([2 * value / sum(raw) for value in raw], abs=1e-4)


def test_weights_of_classes_have_mean_1() -> None:
    weights = balanced_weights(np.array([900, 90, 9, 0]))
    assert np.mean(weights) == pytest.approx(1, abs=1e-3)
    assert list(weights) == sorted(weights)


def test_workers_leave_cores_to_the_network() -> None:
    assert plan().config.loader.num_workers == 3
    assert resolve(TrainConfig(), survey(), cpu_count=1).config.loader.num_workers == 1
    assert resolve(TrainConfig(), survey(), cpu_count=64).config.loader.num_workers == 8
