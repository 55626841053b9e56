"""The head of Non-local, DNL, GC and CC networks: a mechanism between two convolutions.

    y = conv 3x3(f5); y = mechanism(y); y = conv 3x3(y); output = conv 3x3(cat[f5, y])

Source:  mmsegmentation's FCNHead with a block in the middle, https://arxiv.org/abs/1711.07971 and
         its successors do not define a segmentation head of this form.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct


class ContextHead(Decoder):
    """Base of the architectures that put one mechanism into this head.

    Args:
        channels: width of the mechanism and of the output; None takes a quarter of f5's.
        mechanism: makes the mechanism of a width.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        channels: int | None,
        mechanism: Callable[[int], nn.Module],
    ) -> None:
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        self.out_channels = channels or max(1, in_channels // 4)
        self.before = ConvNormAct(in_channels, self.out_channels, 3, norm=self.norm)
        self.mechanism = mechanism(self.out_channels)
        self.after = ConvNormAct(self.out_channels, self.out_channels, 3, norm=self.norm)
        self.fuse = ConvNormAct(
            in_channels + self.out_channels, self.out_channels, 3, norm=self.norm
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the fused map of f5 and its context."""
        x = features[5]
        output: Tensor = self.fuse(
            torch.cat([x, self.after(self.mechanism(self.before(x)))], dim=1)
        )
        return output
