"""SegFormer's head: one linear layer per level, all joined at stride 4.

Paper:   Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with
         Transformers", NeurIPS 2021, https://arxiv.org/abs/2105.15203
Head:    conv 1x1 (cat[up(linear(f5)), up(linear(f4)), up(linear(f3)), linear(f2)]), norm, ReLU.
         Meant for Mix Transformer encoders (`mit_b0` … `mit_b5`); takes any.
Licence: the head is ours; the Mix Transformer encoders' code in smp is NVIDIA's, non-commercial.
Shape:   f2 … f5 -> (N, channels, h2, w2), the size of f2
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct
from maskzoo.models.network.upsample import Upsample


class SegFormer(Decoder):
    """Linear layers on every level.

    Args:
        channels: width of every level and of the output; 256 for B0 and B1, 768 for larger
            encoders in the paper.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int = 256,
    ) -> None:
        super().__init__(setup)
        self.out_channels = channels
        # f5, f4, f3, f2
        self.linears = nn.ModuleList(
            nn.Conv2d(count, channels, 1) for count in setup.encoder_channels[5:1:-1]
        )
        self.upsamplings = nn.ModuleList(
            Upsample(channels, stride // setup.encoder_strides[2], align_corners=self.align_corners)
            for stride in setup.encoder_strides[5:1:-1]
        )
        self.fuse = ConvNormAct(4 * channels, channels, 1, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the joined levels at the size of f2."""
        size = features[2].shape[-2:]
        levels = [
            upsample(linear(feature), size)
            for upsample, linear, feature in zip(
                self.upsamplings, self.linears, features[5:1:-1], strict=True
            )
        ]
        output: Tensor = self.fuse(torch.cat(levels, dim=1))
        return output
