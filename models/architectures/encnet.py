"""EncNet: channels gated by an encoding of the whole scene.

Paper:   Zhang et al., "Context Encoding for Semantic Segmentation", CVPR 2018,
         https://arxiv.org/abs/1803.08904
Head:    f5 -> conv 3x3 -> context encoding; with `lateral` f3 and f4, brought to the same width
         and size, are joined to it by another conv 3x3 first (the authors do so on PASCAL).
Training: the scene logits, a linear layer on the encoding, say which classes the image has:
         binary cross-entropy at 0.2; the auxiliary head on f4 at 0.4 (authors' code).
Shape:   f5 (N, C, h, w) -> (N, channels, h, w); scene logits (N, K)
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, resize
from maskzoo.models.plugins.encoding import ContextEncoding


class EncNet(Decoder):
    """Context encoding on the last feature, with scene logits in training.

    Args:
        channels: width of the encoding and of the output; None takes a quarter of f5's.
        codes: number of codewords.
        lateral: whether f3 and f4 join f5 before the encoding.
    """

    uses_auxiliary: ClassVar[bool] = True
    scene_weight: ClassVar[float] = 0.2

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        codes: int = 32,
        lateral: bool = False,
    ) -> None:
        super().__init__(setup)
        width = channels or max(1, setup.encoder_channels[5] // 4)
        self.out_channels = width
        self.bottleneck = ConvNormAct(setup.encoder_channels[5], width, 3, norm=self.norm)
        self.laterals = nn.ModuleList()
        if lateral:
            self.laterals.extend(
                ConvNormAct(setup.encoder_channels[level], width, 1, norm=self.norm)
                for level in (3, 4)
            )
            self.fusion = ConvNormAct(3 * width, width, 3, norm=self.norm)
        self.encoding = ContextEncoding(width, codes=codes, norm=self.norm)
        self.scene = nn.Linear(width, setup.num_classes)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the gated map."""
        output: Tensor = self.encoding(self._join(features))
        return output

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the gated map, the scene logits and the logits of the auxiliary head."""
        x = self._join(features)
        description = self.encoding.describe(x)
        return DecoderOutput(
            self.encoding.gated(x, description),
            self.auxiliary_logits(features),
            self.scene(description),
        )

    def _join(self, features: list[Tensor]) -> Tensor:
        x: Tensor = self.bottleneck(features[5])
        if not self.laterals:
            return x
        sides = [
            resize(lateral(features[level]), x.shape[-2:], self.align_corners)
            for level, lateral in zip((3, 4), self.laterals, strict=True)
        ]
        output: Tensor = self.fusion(torch.cat([x, *sides], dim=1))
        return output
