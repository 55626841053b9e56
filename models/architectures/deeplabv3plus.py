"""DeepLabV3+: DeepLabV3's pyramid, refined with a feature of stride 4.

Paper:   Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
         Segmentation", ECCV 2018, https://arxiv.org/abs/1802.02611
Head:    f5 -> separable ASPP -> resize to f2 -> cat[., conv 1x1 (f2)] -> 2 separable conv 3x3.
         Norm and ReLU follow the depth-wise convolutions too, as in the official code and in
         mmsegmentation; smp has none there. An auxiliary FCN head on f4 at 0.4 in training
         (mmsegmentation).
Shape:   f2, f5 -> (N, channels, h2, w2), the size of f2
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, SeparableConv
from maskzoo.models.network.upsample import Upsample
from maskzoo.models.plugins.aspp import AtrousPyramid, rates_at_stride


class DeepLabV3Plus(Decoder):
    """Separable atrous pyramid with a low-level skip.

    Args:
        channels: width of the output and of each branch; the paper has 256.
        low_channels: width of f2 where it joins.
        rates: dilations; None takes the paper's for the encoder's output stride.
    """

    default_output_stride: ClassVar[int] = 16
    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int = 256,
        low_channels: int = 48,
        rates: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(setup)
        self.out_channels = channels
        self.aspp = AtrousPyramid(
            setup.encoder_channels[5],
            out_channels=channels,
            rates=rates or rates_at_stride(setup.encoder_strides[5]),
            separable=True,
            projection=3,
            norm=self.norm,
        )
        self.low = ConvNormAct(setup.encoder_channels[2], low_channels, 1, norm=self.norm)
        strides = setup.encoder_strides
        self.upsample = Upsample(
            channels, strides[5] // strides[2], align_corners=self.align_corners
        )
        self.fuse = nn.Sequential(
            SeparableConv(channels + low_channels, channels, norm=self.norm),
            SeparableConv(channels, channels, norm=self.norm),
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the fused map at the size of f2."""
        low = self.low(features[2])
        context = self.upsample(self.aspp(features[5]), low.shape[-2:])
        output: Tensor = self.fuse(torch.cat([context, low], dim=1))
        return output
