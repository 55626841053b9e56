"""Sizes that networks take, with networks that round in each way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from maskzoo.models.network.bodies.rounding import find_rounding
from maskzoo.models.network.encoders import Encoder


class Halving(nn.Module):
    """The image, and its map of stride 32, made by one pool."""

    def __init__(self, pool: nn.Module, block: int = 1) -> None:
        super().__init__()
        self.pool = pool
        self.block = block

    def forward(self, x: Tensor) -> list[Tensor]:
        assert x.shape[2] % self.block == 0
        return [x, self.pool(x)]


@pytest.mark.parametrize(
    ("body", "rounding"),
    [
        (Halving(nn.AvgPool2d(32, ceil_mode=True)), (1, True)),
        (Halving(nn.AvgPool2d(32)), (32, True)),
        (Halving(nn.AvgPool2d(32), block=128), (64, True)),  # twice 64
        (Halving(nn.Conv2d(3, 3, 40, stride=32)), (32, False)),
        (Halving(nn.AvgPool2d(32), block=1024), None),
    ],
)
def test_the_least_multiple_that_runs_is_found(body, rounding):
    assert find_rounding(body, 3, (1, 32)) == rounding


def test_the_body_stays_in_training():
    body = Halving(nn.AvgPool2d(32)).train()
    find_rounding(body, 3, (1, 32))
    assert body.training


@pytest.mark.parametrize("name", ["tu-densenet121", "tu-legacy_seresnet18", "tu-hrnet_w18_small"])
def test_features_of_networks_that_round_down_are_those_of_a_padded_image(name):
    encoder = Encoder(name).eval()
    x = torch.randn(1, 3, 70, 41)
    with torch.no_grad():
        features = encoder(x)
        padded = encoder.body(nn.functional.pad(x, (0, 23, 0, 26)))
    for feature, whole, stride in zip(features, padded, encoder.strides, strict=True):
        height, width = -(-70 // stride), -(-41 // stride)
        assert torch.equal(feature, whole[..., :height, :width])


def test_features_of_networks_without_padding_are_fitted():
    encoder = Encoder("tu-legacy_xception").eval()
    with torch.no_grad():
        features = encoder(torch.randn(1, 3, 97, 130))
        assert encoder.body(torch.randn(1, 3, 96, 128))[2].shape[2] != 24
    assert [tuple(f.shape[2:]) for f in features[2:]] == [(25, 33), (13, 17), (7, 9), (4, 5)]
