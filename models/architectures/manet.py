"""MA-Net: a U-Net with attention over positions at the bottom and over channels at the skips.

Paper:   Fan et al., "MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation",
         IEEE Access 2020, https://doi.org/10.1109/ACCESS.2020.3025372
Head:    x = PAB(f5); for k = 4, 3, 2, 1: x = MFAB(x, f_k)
         PAB:  y_i = x_i + sum_j softmax_j(q_i · k_j) v_j, then conv 3x3
         MFAB: h = up(conv 1x1 (conv 3x3 (x))); h = h · (SE(h) + SE(f_k));
               conv 3x3, conv 3x3 of cat[h, f_k]
Differs: smp's PAB normalises its map over all pairs of positions at once and reads the output
         (N, L, C) as (N, C, H, W), which mixes channels with positions. Here each position's
         weights sum to 1 and the output is transposed.
Shape:   f1 … f5 -> (N, channels[-1], h1, w1), the size of f1; of f0 with a fifth width
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.attention import Attention
from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm
from maskzoo.models.network.levels import LevelWidths, double_conv, skip_channels, step_factors
from maskzoo.models.network.upsample import Upsample


class MANet(Decoder):
    """Position-wise attention at the bottom, channel-wise attention at the skips.

    A level that the encoder does not have (0 channels) is upsampled without a skip.

    Args:
        channels: width of the levels 4, 3, 2, 1, and of a level 0 at full resolution, without
            a skip, if there is a fifth.
        attention_channels: width of PAB's queries and keys.
        reduction: of the channel gates.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: LevelWidths = (256, 128, 64, 32),
        attention_channels: int = 64,
        reduction: int = 16,
    ) -> None:
        super().__init__(setup)
        below = setup.encoder_channels[5]
        self.bottom = PositionWiseAttention(below, attention_channels=attention_channels)
        self.levels = nn.ModuleList()
        self.upsamplings = nn.ModuleList()
        skips = skip_channels(setup.encoder_channels, channels)
        for skip, width, factor in zip(skips, channels, step_factors(setup), strict=False):
            # A skip's width is what the fusion enlarges.
            self.upsamplings.append(
                Upsample(skip or below, factor, align_corners=self.align_corners)
            )
            self.levels.append(
                FusionAttention(below, skip, width, reduction=reduction, norm=self.norm)
                if skip
                else double_conv(below, width, norm=self.norm)
            )
            below = width
        self.out_channels = below

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map of the last level."""
        x: Tensor = self.bottom(features[5])
        steps = zip(self.levels, self.upsamplings, features[4::-1], strict=False)
        for level, upsample, skip in steps:
            if isinstance(level, FusionAttention):
                x = level(upsample(level.high(x), skip.shape[-2:]), skip)
            else:
                x = level(upsample(x, skip.shape[-2:]))
        return x


class PositionWiseAttention(nn.Module):
    """Position-wise attention block (PAB): (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: C.
        attention_channels: width of queries and keys.
    """

    def __init__(self, channels: int, *, attention_channels: int = 64) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, attention_channels, 1)
        self.key = nn.Conv2d(channels, attention_channels, 1)
        self.value = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = Attention()
        self.out = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return conv(x + attention(x))."""
        context = self.attention(
            self.query(x).flatten(2), self.key(x).flatten(2), self.value(x).flatten(2)
        )
        output: Tensor = self.out(x + context.unflatten(2, x.shape[-2:]))
        return output


class FusionAttention(nn.Module):
    """Multi-scale fusion attention block (MFAB).

    Args:
        in_channels: of the deeper map.
        skip_channels: of the skip.
        channels: of the result.
        reduction: of the channel gates.
    """

    def __init__(
        self, in_channels: int, skip_channels: int, channels: int, *, reduction: int, norm: Norm
    ) -> None:
        super().__init__()
        self.high = nn.Sequential(
            ConvNormAct(in_channels, in_channels, 3, norm=norm),
            ConvNormAct(in_channels, skip_channels, 1, norm=norm),
        )
        self.gate_skip = _gate(skip_channels, reduction)
        self.gate_high = _gate(skip_channels, reduction)
        self.convs = double_conv(2 * skip_channels, channels, norm=norm)

    def forward(self, high: Tensor, skip: Tensor) -> Tensor:
        """Return the joined map; `high` is the deeper one after `self.high`, at the skip's size."""
        gates = self.gate_high(_means(high)) + self.gate_skip(_means(skip))
        output: Tensor = self.convs(torch.cat([high * gates, skip], dim=1))
        return output


def _gate(channels: int, reduction: int) -> nn.Sequential:
    hidden = max(1, channels // reduction)
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, channels, 1),
        nn.Sigmoid(),
    )


def _means(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True)
