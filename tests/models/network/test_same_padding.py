"""SAME padding in whole numbers is timm's, for every size, and so are the layers."""

from __future__ import annotations

import itertools

import pytest
import timm
import torch
from timm.layers import get_same_padding
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import MaxPool2dSame

from maskzoo.models.network.same_padding import count_padding_in_integers, same_padding

CASES = list(itertools.product((1, 2, 3, 5, 7), (1, 2, 3, 4), (1, 2)))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), CASES)
def test_the_padding_is_timms_for_every_size(kernel: int, stride: int, dilation: int) -> None:
    for size in range(1, 200):
        assert same_padding(size, kernel, stride, dilation) == get_same_padding(
            size, kernel, stride, dilation
        )


@pytest.mark.parametrize("size", [(7, 12), (8, 9), (1, 5)])
def test_layers_give_what_timms_give(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 4, *size)
    layers = torch.nn.ModuleList(
        [
            Conv2dSame(4, 6, 3, stride=2),
            Conv2dSame(4, 4, (5, 3), stride=(2, 1), dilation=(1, 2), groups=2, bias=False),
            MaxPool2dSame(3, 2),
        ]
    )
    before = [layer(images) for layer in layers]
    names = set(layers.state_dict())
    count_padding_in_integers(layers)
    assert {type(layer).__name__ for layer in layers} == {
        "IntegerConv2dSame",
        "IntegerMaxPool2dSame",
    }
    for layer, expected in zip(layers, before, strict=True):
        assert torch.equal(layer(images), expected)
    assert set(layers.state_dict()) == names


def test_a_whole_encoder_stays_as_it_was() -> None:
    torch.manual_seed(0)
    encoder = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    images = torch.randn(1, 3, 97, 130)
    before = encoder(images)
    count_padding_in_integers(encoder)
    assert not any(type(module) is Conv2dSame for module in encoder.modules())
    for feature, expected in zip(encoder(images), before, strict=True):
        assert torch.equal(feature, expected)
