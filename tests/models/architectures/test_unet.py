"""U-Net: sizes, skips, and its formula written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.architectures.unet import UNet
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.registry import create_model

CHANNELS = (3, 4, 5, 6, 7, 8)
STRIDES = (1, 2, 4, 8, 16, 32)


def features(height: int, width: int, channels: tuple[int, ...] = CHANNELS) -> list[torch.Tensor]:
    return [
        torch.randn(2, count, -(-height // stride), -(-width // stride))
        for count, stride in zip(channels, STRIDES, strict=True)
    ]


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (33, 47), (1, 1), (17, 31)])
def test_the_map_has_the_size_of_the_first_skip(size):
    decoder = UNet(DecoderSetup(CHANNELS, STRIDES, 3), channels=(9, 8, 7, 6)).eval()
    maps = features(*size)
    assert decoder(maps).shape == (2, 6, *maps[1].shape[-2:])


def test_the_map_equals_the_formula_written_out():
    decoder = UNet(DecoderSetup(CHANNELS, STRIDES, 3, norm="none"), channels=(9, 8, 7, 6)).eval()
    maps = features(37, 50)
    x = maps[5]
    for index, level in enumerate((4, 3, 2, 1)):
        x = F.interpolate(x, size=maps[level].shape[-2:], mode="bilinear", align_corners=False)
        x = torch.cat([x, maps[level]], dim=1)
        for number in (0, 1):
            conv = decoder.levels[index][number].conv
            x = F.conv2d(x, conv.weight, conv.bias, padding=1).relu()
    torch.testing.assert_close(decoder(maps), x)


def test_a_level_without_channels_is_upsampled_without_a_skip():
    channels = (3, 0, 5, 6, 7, 8)
    decoder = UNet(DecoderSetup(channels, STRIDES, 3), channels=(9, 8, 7, 6)).eval()
    assert decoder.levels[3][0].conv.in_channels == 7
    assert decoder(features(33, 47, channels)).shape == (2, 6, 17, 24)


def test_every_skip_reaches_the_map():
    decoder = UNet(DecoderSetup(CHANNELS, STRIDES, 3), channels=(9, 8, 7, 6)).eval()
    maps = [feature.requires_grad_() for feature in features(40, 56)]
    decoder(maps).square().mean().backward()
    assert maps[0].grad is None
    assert all(feature.grad.abs().sum() > 0 for feature in maps[1:])


def test_an_output_stride_of_8_keeps_working():
    network = create_model(
        "unet",
        encoder="tu-resnet18",
        num_classes=3,
        output_stride=8,
        encoder_options={"channels": [8, 8, 8, 8], "stem_width": 4},
        channels=(8, 8, 8, 8),
    ).eval()
    assert network(torch.randn(1, 3, 41, 70)).shape == (1, 3, 41, 70)
