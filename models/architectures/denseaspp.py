"""DenseASPP: dilated convolutions, each of which sees what all smaller rates have found.

Paper:   Yang et al., "DenseASPP for Semantic Segmentation in Street Scenes", CVPR 2018,
         https://openaccess.thecvf.com/content_cvpr_2018/html/Yang_DenseASPP_for_Semantic_CVPR_2018_paper.html
Head:    x = f5; for each rate 3, 6, 12, 18, 24: y = conv 3x3 of this rate (conv 1x1 (x)), x =
         cat[y, x], norm and ReLU before each convolution, but no norm before the first. The
         classifier sees x.
Differs: convolutions have no bias, which the next norm would cancel. The paper's encoder is a
         DenseNet, dilated to stride 8; smp and timm dilate none (`tu-densenet161` has stride 32).
Shape:   f5 (N, C, h, w) -> (N, C + 5 growth, h, w)
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.architectures.ddrnet import PreConv
from maskzoo.models.network.decoder import Decoder, DecoderSetup

RATES = (3, 6, 12, 18, 24)


class DenseASPP(Decoder):
    """Densely connected dilated convolutions on f5.

    Args:
        growth: channels that each rate adds; None takes a sixteenth of f5's.
        width: of the 1x1 convolutions; None takes four times `growth`.
        rates: of dilation, one after the other.
    """

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        growth: Annotated[int, Field(ge=1)] | None = None,
        width: Annotated[int, Field(ge=1)] | None = None,
        rates: tuple[int, ...] = RATES,
    ) -> None:
        super().__init__(setup)
        channels = setup.encoder_channels[5]
        growth = growth or max(1, channels // 16)
        width = width or 4 * growth
        self.blocks = nn.ModuleList()
        for index, rate in enumerate(rates):
            first = PreConv(channels, width, norm=self.norm, is_normalised=index > 0)
            second = PreConv(width, growth, 3, dilation=rate, norm=self.norm)
            self.blocks.append(nn.Sequential(first, second, nn.Dropout2d(self.dropout)))
            channels += growth
        self.out_channels = channels

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return f5 beside what every rate has found."""
        x = features[5]
        for block in self.blocks:
            x = torch.cat([block(x), x], dim=1)
        return x
