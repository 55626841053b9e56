"""Frozen parts keep every bit of their weights and statistics."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.errors import SpecError
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.registry import create_model
from maskzoo.training.config.run_config import RunOptimizer
from maskzoo.training.starts.frozen import freeze
from maskzoo.training.steps.optim import WeightAverage, build_optimizer, train_mode


@pytest.fixture
def network() -> SegmentationNetwork:
    torch.manual_seed(3)
    return create_model(
        "unet",
        encoder="tu-resnet10t",
        encoder_options={"channels": [4, 8, 8, 16], "stem_width": 4},
        num_classes=2,
        channels=[8, 8, 8, 8],
        plugins=["eca@encoder.2"],
    )


@pytest.mark.parametrize(
    ("names", "prefixes"),
    [
        (["encoder"], ["encoder.body."]),
        (["encoder.1"], ["encoder.body.model.conv1.", "encoder.body.model.bn1."]),
        (["encoder.2", "encoder.5"], ["encoder.body.model.layer1.", "encoder.body.model.layer4."]),
        (["decoder.levels.0"], ["decoder.levels.0."]),
        (["encoder.body.model.layer2", "decoder"], ["encoder.body.model.layer2.", "decoder."]),
    ],
)
def test_named_parts_are_bit_equal_after_training_and_all_others_move(
    network: SegmentationNetwork, names: list[str], prefixes: list[str]
) -> None:
    optimizer = build_optimizer(network, RunOptimizer(lr=0.1, head_lr_mult=2, freeze=tuple(names)))
    average = WeightAverage(network, decay=0.9)
    train_mode(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for step in range(3):
        optimizer.zero_grad()
        network(torch.randn(2, 3, 32, 32)).square().mean().backward()
        optimizer.step()
        average.update(network, step=step)
    own = {f"encoder.body.{name}" for name in network.encoder.names}
    for key, value in network.state_dict().items():
        named = any(key.startswith(prefix) for prefix in prefixes)
        is_plugin = key.startswith("encoder.") and key not in own
        frozen = named and not is_plugin
        assert torch.equal(value, before[key]) == frozen, key
        if frozen:
            assert torch.equal(average.network.state_dict()[key], before[key]), key


def test_a_name_that_is_no_part_is_refused_with_the_parts_that_there_are(
    network: SegmentationNetwork,
) -> None:
    with pytest.raises(SpecError, match=r"(?s)2 mistake.*encoder.1, encoder.2.*decoder") as caught:
        freeze(network, ["encoder.7", "stem"])
    assert "'stem' has no weights in this network" in str(caught.value)
