"""Parameters and multiply-accumulates, against sums by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maskzoo.models.catalogue.cost import measure_cost, measure_layers
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.registry import create_model

ENCODER = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}
TINY = {"encoder": "tu-resnet18", "encoder_options": ENCODER, "num_classes": 3}


def convolutions_by_hand(network: SegmentationNetwork, size: tuple[int, int]) -> int:
    """Return Σ C_out · H_out · W_out · (C_in / groups) · k_h · k_w over the convolutions run."""
    total = 0

    def add(module: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    hooks = [
        module.register_forward_hook(add)
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, *size))
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("name", ["unet", "segformer", "deeplabv3plus"])
def test_a_network_of_convolutions_costs_their_sum(name: str) -> None:
    network = create_model(name, **TINY)
    wanted = convolutions_by_hand(network, (64, 96))
    assert measure_cost(network, (64, 96)).macs == wanted


def test_attention_adds_its_two_products_of_all_pairs_of_positions() -> None:
    network = create_model("danet", **TINY, channels=16, attention_channels=4)
    size, positions = (64, 96), (64 // 8) * (96 // 8)
    position = positions**2 * (4 + 16)
    channel = 2 * 16**2 * positions
    wanted = convolutions_by_hand(network, size) + position + channel
    assert measure_cost(network, size).macs == wanted


def test_a_deformable_convolution_costs_what_the_plain_one_does_and_its_offsets() -> None:
    plain = create_model("fcn", **TINY)
    network = create_model("fcn", **TINY, plugins=["dcnv1@encoder.5"])
    layers = {layer.name: layer for layer in measure_layers(network, (64, 64), depth=9)}
    offsets = sum(layer.macs for name, layer in layers.items() if name.endswith("offset"))
    assert offsets > 0
    added = measure_cost(network, (64, 64)).macs - measure_cost(plain, (64, 64)).macs
    assert added == offsets


def test_the_parts_of_a_network_add_up() -> None:
    layers = measure_layers(create_model("unet", **TINY), (64, 64), depth=1)
    whole, *parts = layers
    assert whole.depth == 0
    assert {part.depth for part in parts} == {1}
    assert sum(part.macs for part in parts) == whole.macs
    assert sum(part.parameters for part in parts) == whole.parameters
    assert whole.shape == (1, 3, 64, 64)


def test_counting_leaves_the_network_as_it_was() -> None:
    network = create_model("emanet", **TINY).train()
    network.encoder.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measure_cost(network, (64, 64))
    assert network.training
    assert not network.encoder.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
