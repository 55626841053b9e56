"""OCNet: each pixel gathers its object's context, alone or beside dilated convolutions.

Paper:   Yuan et al., "OCNet: Object Context for Semantic Segmentation", IJCV 2021,
         https://arxiv.org/abs/1809.00916
Head:    y = conv 3x3 (f5); c = attention of y to itself, keys and queries two 1x1 convolutions
         each; output = conv 1x1 (cat[c, y]). In training an auxiliary FCN head on f4 at 0.4.
Variants: `base` (default), or `asp`: y is also convolved by 1x1 and by 3x3 at three rates, c has a
         3x3 convolution before and a norm and ReLU after its attention, and all five are joined.
Differs: the authors' `asp` attends within a map that a max-pool has halved.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.attention import ProjectedAttention
from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm, create_norm
from maskzoo.models.plugins.aspp import rates_at_stride


class OCNet(Decoder):
    """Object context on f5.

    Args:
        channels: width of the context and of the output; None takes a quarter of f5's.
        variant: `base` or `asp`.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: Annotated[int, Field(ge=2)] | None = None,
        variant: Literal["base", "asp"] = "base",
    ) -> None:
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        width = channels or max(2, in_channels // 4)
        self.out_channels = width
        self.reduce = ConvNormAct(in_channels, width, 3, norm=self.norm)
        if variant == "base":
            self.branches = nn.ModuleList([ObjectContext(width, norm=self.norm), nn.Identity()])
        else:
            rates = rates_at_stride(setup.encoder_strides[5])
            self.branches = nn.ModuleList(_branches(width, width // 2, rates, self.norm))
        joined = 2 * width if variant == "base" else 5 * (width // 2)
        self.join = ConvNormAct(joined, width, 1, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the joined branches."""
        x = self.reduce(features[5])
        output: Tensor = self.join(torch.cat([branch(x) for branch in self.branches], dim=1))
        return output


class ObjectContext(nn.Module):
    """What each pixel gathers from pixels like it: (N, C, h, w) -> (N, C, h, w)."""

    def __init__(self, channels: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        width = max(1, channels // 2)
        value = nn.Conv2d(channels, width, 1)
        self.attention = ProjectedAttention(channels, channels, width, value=value, norm=norm)
        self.out = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.out.weight)
        bias = self.out.bias
        assert bias is not None, "it has one by default"
        nn.init.zeros_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the context alone."""
        output: Tensor = self.out(self.attention(x, x))
        return output


def _branches(channels: int, width: int, rates: tuple[int, ...], norm: Norm) -> list[nn.Module]:
    """Return the five branches of `asp`."""
    context = nn.Sequential(
        ConvNormAct(channels, width, 3, norm=norm),
        ObjectContext(width, norm=norm),
        create_norm(norm, width),
        nn.ReLU(),
    )
    dilated = [ConvNormAct(channels, width, 3, dilation=rate, norm=norm) for rate in rates]
    return [context, ConvNormAct(channels, width, 1, norm=norm), *dilated]
