"""PAN: a feature pyramid attention, then upsampling steps that the deeper feature guides.

Paper:   Li et al., "Pyramid Attention Network for Semantic Segmentation", BMVC 2018,
         https://arxiv.org/abs/1805.10180
Head:    x = FPA(f5); x = GAU(f4, x); x = GAU(f3, x); x = GAU(f2, x); logits at stride 4
Differs: the common port detaches the encoder's features, so that it is never trained by the
         segmentation loss; here gradients reach it, as in the paper. The paper does not give the
         decoder's width; here it is 1 / 16 of f5's.
Licence: from the paper; the common port is GPL-3.0 and none of it is here.
Shape:   f2 … f5 -> (N, channels, h2, w2), the size of f2
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.plugins.fpa import FeaturePyramidAttention
from maskzoo.models.plugins.gau import GlobalAttentionUpsample


class PAN(Decoder):
    """FPA on the last feature, GAU on the three before.

    Args:
        channels: width of the decoder; None takes a sixteenth of f5's.
        gate: activation of GAU's weights.
    """

    default_output_stride: ClassVar[int] = 16

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        gate: Literal["relu", "sigmoid"] = "relu",
    ) -> None:
        super().__init__(setup)
        width = channels or max(1, setup.encoder_channels[5] // 16)
        self.out_channels = width
        self.fpa = FeaturePyramidAttention(
            setup.encoder_channels[5],
            out_channels=width,
            width=width,
            norm=self.norm,
            align_corners=self.align_corners,
        )
        self.steps = nn.ModuleList(
            GlobalAttentionUpsample(
                setup.encoder_channels[level],
                width,
                out_channels=width,
                gate=gate,
                norm=self.norm,
                align_corners=self.align_corners,
                factor=setup.encoder_strides[level + 1] // setup.encoder_strides[level],
            )
            for level in (4, 3, 2)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map of f2's size."""
        x: Tensor = self.fpa(features[5])
        for level, step in zip((4, 3, 2), self.steps, strict=True):
            x = step(features[level], x)
        return x
