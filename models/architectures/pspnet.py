"""PSPNet: pyramid pooling on the last feature.

Paper:   Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017,
         https://arxiv.org/abs/1612.01105
Head:    f5 -> PPM -> conv 3x3; in training an auxiliary FCN head on f4 at 0.4.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.plugins.ppm import PyramidPooling


class PSPNet(Decoder):
    """Pyramid pooling on the last feature.

    Args:
        channels: width of the output and of each pooled branch; None takes a quarter of f5's.
        bins: regions per side of each branch.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        bins: tuple[int, ...] = (1, 2, 3, 6),
    ) -> None:
        super().__init__(setup)
        self.out_channels = channels or max(1, setup.encoder_channels[5] // 4)
        self.ppm = PyramidPooling(
            setup.encoder_channels[5],
            out_channels=self.out_channels,
            width=self.out_channels,
            bins=bins,
            norm=self.norm,
            align_corners=self.align_corners,
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the bottleneck over the pyramid of f5."""
        output: Tensor = self.ppm(features[5])
        return output
