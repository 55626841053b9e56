"""Groups, schedules and the running mean of the weights."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn

from maskzoo import create_model
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.training.config.run_config import RunOptimizer
from maskzoo.training.config.settings import ScheduleConfig
from maskzoo.training.steps.optim import (
    WeightAverage,
    build_optimizer,
    lr_factor,
    set_lr,
    train_mode,
)


@pytest.fixture(scope="module")
def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return create_model(
        "unet",
        encoder="tu-resnet10t",
        encoder_options={"channels": [4, 8, 8, 16], "stem_width": 4},
        num_classes=2,
        channels=[8, 8, 8, 8],
    )


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_every_weight_is_in_one_group_with_its_rate_and_decay(
    network: SegmentationNetwork, name: str
) -> None:
    config = RunOptimizer(name=name, lr=0.01, head_lr_mult=10, weight_decay=0.1, momentum=0.8)
    optimizer = build_optimizer(network, config)
    where = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(where) == sum(1 for _ in network.parameters())
    for key, parameter in network.named_parameters():
        group = where[id(parameter)]
        assert group["peak_lr"] == pytest.approx(0.01 if key.startswith("encoder.") else 0.1), key
        assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), key
    assert optimizer.defaults.get("momentum", 0.8) == 0.8


@pytest.mark.parametrize(
    ("plugin", "slow"),
    [
        ("dcnv1@encoder.5", r"\.offset\."),
        ("dcnv2@decoder.convs", r"\.(offset|mask)\."),
        ("stn@input", r"^warp\."),
    ],
)
def test_what_predicts_positions_learns_ten_times_slower(plugin: str, slow: str) -> None:
    network = create_model(
        "unet",
        encoder="tu-resnet10t",
        encoder_options={"channels": [4, 8, 8, 16], "stem_width": 4},
        num_classes=2,
        channels=[8, 8, 8, 8],
        plugins=[plugin],
    )
    optimizer = build_optimizer(network, RunOptimizer(lr=1, head_lr_mult=10))
    rates = {id(p): group["peak_lr"] for group in optimizer.param_groups for p in group["params"]}
    own = {id(parameter) for parameter in network.encoder.pretrained_parameters()}
    found = False
    for key, parameter in network.named_parameters():
        is_slow = re.search(slow, key) is not None
        usual = 1 if id(parameter) in own else 10
        assert rates[id(parameter)] == pytest.approx(usual / 10 if is_slow else usual), key
        found = found or is_slow
    assert found


def test_frozen_weights_are_in_no_group(network: SegmentationNetwork) -> None:
    frozen = next(network.encoder.parameters())
    frozen.requires_grad_(False)
    try:
        groups = build_optimizer(network, RunOptimizer(lr=1, head_lr_mult=1)).param_groups
        assert all(p is not frozen for group in groups for p in group["params"])
    finally:
        frozen.requires_grad_(True)


def test_blocks_far_from_the_head_learn_slower(network: SegmentationNetwork) -> None:
    config = RunOptimizer(lr=1, head_lr_mult=3, layer_decay=0.5)
    optimizer = build_optimizer(network, config)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    named = dict(network.encoder.body.named_parameters())
    blocks = [f"model.layer{stage}.0" for stage in (1, 2, 3, 4)]
    found = [{rates[id(p)] for key, p in named.items() if key.startswith(b)} for b in blocks]
    assert found == [{0.125}, {0.25}, {0.5}, {1.0}]
    stem = {rates[id(p)] for key, p in named.items() if "layer" not in key}
    assert max(stem) < 0.125
    assert {rates[id(p)] for p in network.parameter_groups()["head"]} == {3.0}


def test_a_frozen_encoder_keeps_weights_and_statistics() -> None:
    network = create_model(
        "unet",
        encoder="tu-resnet10t",
        encoder_options={"channels": [4, 8, 8, 16], "stem_width": 4},
        num_classes=2,
    )
    optimizer = build_optimizer(network, RunOptimizer(lr=1, head_lr_mult=1, freeze=("encoder",)))
    train_mode(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(torch.randn(2, 3, 32, 32)).mean().backward()
    optimizer.step()
    changed = {
        key for key, value in network.state_dict().items() if not torch.equal(value, before[key])
    }
    assert not {key for key in changed if key.startswith("encoder.")}
    assert any("running_mean" in key for key in changed)
    assert any(key.startswith("classifier.") for key in changed)


def test_poly_rises_linearly_and_falls_by_its_power() -> None:
    config = ScheduleConfig(name="poly", warmup=0.1, power=0.9, final=0.01)
    factors = [lr_factor(step, 100, config) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert factors[10] == 1
    assert factors[55] == pytest.approx(0.01 + 0.99 * 0.5**0.9)
    assert lr_factor(100, 100, config) == pytest.approx(0.01)


def test_cosine_is_half_way_down_in_the_middle() -> None:
    config = ScheduleConfig(name="cosine", warmup=0, final=0.2)
    assert lr_factor(0, 40, config) == 1
    assert lr_factor(20, 40, config) == pytest.approx(0.6)
    assert lr_factor(10, 40, config) == pytest.approx(0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2)
    assert lr_factor(40, 40, config) == pytest.approx(0.2)


def test_onecycle_begins_near_a_25th_and_peaks_after_the_warmup() -> None:
    config = ScheduleConfig(name="onecycle", warmup=0.25)
    factors = [lr_factor(step, 400, config) for step in range(400)]
    assert factors[0] == pytest.approx(0.04, abs=1e-3)
    assert max(factors) == factors[99] == 1
    assert factors[49] == pytest.approx(0.52)
    assert factors[-1] < 1e-3


@pytest.mark.parametrize("name", ["poly", "cosine", "onecycle"])
@pytest.mark.parametrize("total", [1, 2, 3])
def test_very_short_runs_have_positive_rates(name: str, total: int) -> None:
    config = ScheduleConfig(name=name, warmup=0.5)
    assert all(0 < lr_factor(step, total, config) <= 1 for step in range(total))


def test_the_rate_of_each_group_keeps_its_ratio(network: SegmentationNetwork) -> None:
    optimizer = build_optimizer(network, RunOptimizer(lr=0.1, head_lr_mult=5))
    set_lr(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.05, 0.25}


def test_the_average_follows_its_recurrence() -> None:
    module = nn.BatchNorm1d(1)
    average = WeightAverage(module, decay=0.5)  # type: ignore[arg-type]
    expected, expected_mean = 1.0, 0.0
    for step, value in enumerate([3.0, -2.0, 7.0, 7.0, 1.0]):
        with torch.no_grad():
            module.weight.fill_(value)
            module.running_mean.fill_(-value)
            module.num_batches_tracked.fill_(step + 5)
        average.update(module, step=step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        expected_mean = decay * expected_mean - (1 - decay) * value
        assert average.network.weight.item() == pytest.approx(expected)
        assert average.network.running_mean.item() == pytest.approx(expected_mean)
        assert average.network.num_batches_tracked.item() == step + 5
    assert not average.network.training
    assert not average.network.weight.requires_grad
