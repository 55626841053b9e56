"""FCN: plain convolutions on the last feature; the baseline of all others.

Paper:   Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015,
         https://arxiv.org/abs/1411.4038
Head:    x = f5; y = conv 3x3, conv 3x3 (x); conv 3x3 (cat[x, y]).
         In training an auxiliary FCN head on f4 at 0.4.
Differs: the form is mmsegmentation's on a dilated encoder, not the paper's skips on VGG.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct


class FCN(Decoder):
    """Convolutions on the last feature.

    Args:
        channels: width of the head; None takes a quarter of f5's channels.
        num_convs: 3x3 convolutions before the input is joined again.
        concat_input: whether f5 joins the result; torchvision's FCN has one convolution and no
            joining.
        dilation: of these convolutions; mmsegmentation's FCN at stride 16 has 6.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        num_convs: int = 2,
        concat_input: bool = True,
        dilation: int = 1,
    ) -> None:
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        width = channels or max(1, in_channels // 4)
        self.out_channels = width
        self.convs = nn.Sequential(
            *(
                ConvNormAct(
                    width if index else in_channels, width, 3, dilation=dilation, norm=self.norm
                )
                for index in range(num_convs)
            )
        )
        self.join = (
            ConvNormAct(in_channels + width, width, 3, norm=self.norm) if concat_input else None
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the convolutions of f5."""
        y = self.convs(features[5])
        output: Tensor = y if self.join is None else self.join(torch.cat([features[5], y], dim=1))
        return output
