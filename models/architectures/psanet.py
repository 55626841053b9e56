"""PSANet: point-wise spatial attention on the last feature.

Paper:   Zhao et al., "PSANet: Point-wise Spatial Attention Network for Scene Parsing", ECCV 2018,
         https://hszhao.github.io/papers/eccv18_psanet.pdf
Head:    f5, concatenated with the PSA context of f5 -> conv 3x3; an FCN head on f4 at 0.4.
Mask:    the window's size is part of the weights: 97 was trained on crops of 769 px at stride 8
         (97 cells, shrunk to 49, 2 · 49 − 1 = 97). Larger images work, see `models.plugins.psa`.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct
from maskzoo.models.plugins.psa import (
    Direction,
    Outside,
    PointwiseSpatialAttention,
    Sampling,
    Scoring,
    Variant,
)


class PSANet(Decoder):
    """Point-wise spatial attention, collected and distributed.

    Args:
        channels: width of each branch and of the output; None takes a quarter of f5's.
        direction: which branches there are.
        mask_size: height and width of the window, on the shrunk map.
        shrink: how many times smaller the map is for the attention.
        outside: positions out of the window's reach score 0 (as trained) or are excluded.
        compact: no window; maps of `mask_size` only.
        softmax: whether the scores pass a softmax; as trained by all that is published.
        divisor: of the attended sum; mmsegmentation's normalisation factor.
        variant: whose resizing and projection; weights of mmsegmentation need `mmseg`.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(  # noqa: PLR0913 — mmsegmentation's checkpoints set all of them
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        direction: Direction = "both",
        mask_size: tuple[int, int] = (97, 97),
        shrink: int = 2,
        outside: Outside = "zero",
        compact: bool = False,
        softmax: bool = True,
        divisor: float = 1.0,
        variant: Variant = "official",
    ) -> None:
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        self.out_channels = channels or max(1, in_channels // 4)
        self.psa = PointwiseSpatialAttention(
            in_channels,
            Sampling(shrink, variant, align_corners=self.align_corners),
            width=self.out_channels,
            direction=direction,
            mask_size=mask_size,
            scoring=Scoring(outside, softmax, divisor),
            compact=compact,
            norm=self.norm,
        )
        self.fuse = ConvNormAct(2 * in_channels, self.out_channels, 3, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the fused map of f5 and its context."""
        x = features[5]
        output: Tensor = self.fuse(torch.cat([x, self.psa(x)], dim=1))
        return output
