"""PSPNet: pyramid pooling on the last feature.

Paper:   Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017,
         https://arxiv.org/abs/1612.01105
Head:    f5 -> PPM -> conv 3x3; in training an auxiliary FCN head on f4 at 0.4.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Unpack

from torch import Tensor

from maskzoo.models.network.decoder import Decoder, DecoderOptions
from maskzoo.models.plugins.ppm import PyramidPooling


class PSPNet(Decoder):
    """Pyramid pooling on the last feature.

    Args:
        channels: width of the output and of each pooled branch; None takes a quarter of f5's.
        bins: regions per side of each branch.
    """

    paper: ClassVar[str] = "PSPNet, CVPR 2017, https://arxiv.org/abs/1612.01105"
    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        encoder_channels: Sequence[int],
        encoder_strides: Sequence[int],
        num_classes: int,
        *,
        channels: int | None = None,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        **common: Unpack[DecoderOptions],
    ) -> None:
        super().__init__(encoder_channels, encoder_strides, num_classes, **common)
        self.out_channels = channels or max(1, encoder_channels[5] // 4)
        self.ppm = PyramidPooling(
            encoder_channels[5],
            out_channels=self.out_channels,
            width=self.out_channels,
            bins=bins,
            norm=self.norm,
            align_corners=self.align_corners,
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the bottleneck over the pyramid of f5."""
        return self.ppm(features[5])
