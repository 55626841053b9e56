"""LR-ASPP: a light head of one gate and two levels, for real-time encoders.

Paper:   Howard et al., "Searching for MobileNetV3", ICCV 2019, section 6.4,
         https://arxiv.org/abs/1905.02244
Head:    y = conv 1x1 (f5) * sigmoid(conv 1x1 (mean of f5)), a norm and a ReLU in the first
         output = cat[up(y), f3]. The 1x1 classifier on it is the sum of the paper's two, one a
         level. Meant for MobileNetV3 (`tu-mobilenetv3_large_100`); takes any encoder.
Differs: the gate takes the mean of the whole map, as in torchvision; the paper's takes that of
         windows of 49 x 49 at strides of 16 x 20. The dropout of all classifiers also acts on f3.
Shape:   f3, f5 -> (N, channels + C of f3, h3, w3), the size of f3
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct
from maskzoo.models.network.upsample import Upsample


class LRASPP(Decoder):
    """A gated deep level beside a shallow one.

    Args:
        channels: width of the deep level; the paper has 128.
    """

    default_output_stride: ClassVar[int] = 16

    def __init__(self, setup: DecoderSetup, *, channels: int = 128) -> None:
        super().__init__(setup)
        low, deep = setup.encoder_channels[3], setup.encoder_channels[5]
        self.out_channels = channels + low
        self.project = ConvNormAct(deep, channels, 1, norm=self.norm)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(deep, channels, 1, bias=False), nn.Sigmoid()
        )
        factor = setup.encoder_strides[5] // setup.encoder_strides[3]
        self.upsample = Upsample(channels, factor, align_corners=self.align_corners)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the gated deep level beside f3, at the size of f3."""
        low, deep = features[3], features[5]
        gated = self.project(deep) * self.gate(deep)
        return torch.cat([self.upsample(gated, low.shape[-2:]), low], dim=1)
