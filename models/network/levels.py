"""Parts of U-shaped decoders: widths of the levels, skips, and the pair of convolutions.

U-Net, UNet++, MA-Net and Attention U-Net climb from f5 over the levels 4, 3, 2, 1, which have
the skips f4, f3, f2, f1, and optionally on to a level 0 at full resolution, which has no skip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm

# of the levels 4, 3, 2, 1 and perhaps 0
LevelWidths = Annotated[tuple[int, ...], Field(min_length=4, max_length=5)]


def skip_channels(encoder_channels: Sequence[int], widths: Sequence[int]) -> tuple[int, ...]:
    """Return the channels of the skips of as many levels as there are widths."""
    return (*(encoder_channels[level] for level in (4, 3, 2, 1)), 0)[: len(widths)]


def step_factors(setup: DecoderSetup) -> tuple[int, ...]:
    """Return by how much each level's stride is smaller than that of the level below, 4 to 0."""
    strides = setup.encoder_strides
    return tuple(strides[level + 1] // strides[level] for level in (4, 3, 2, 1, 0))


def double_conv(in_channels: int, channels: int, *, norm: Norm = "batch") -> nn.Sequential:
    """Return U-Net's level: two 3x3 convolutions, each with norm and ReLU."""
    return nn.Sequential(
        ConvNormAct(in_channels, channels, 3, norm=norm),
        ConvNormAct(channels, channels, 3, norm=norm),
    )
