"""UPerNet: pyramid pooling on the last feature of a feature pyramid.

Paper:   Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018,
         https://arxiv.org/abs/1807.10221
Head:    p5 = PPM(f5); p_k = conv 1x1 (f_k) + up(p_{k+1}) for k = 4, 3, 2
         conv 3x3 (cat[conv 3x3 (p2), conv 3x3 (p3), conv 3x3 (p4), p5]), all at the size of f2.
         In training an auxiliary FCN head on f4 at 0.4. Any encoder, no dilation. Transformers and
         ConvNeXt have a layer norm on each level in mmsegmentation and transformers
         (`level_norm_eps`); those of this zoo's encoders give their levels without.
Shape:   f2 … f5 -> (N, channels, h2, w2), the size of f2
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup
from maskzoo.models.network.layers import ChannelNorm, ConvNormAct
from maskzoo.models.network.upsample import Upsample
from maskzoo.models.plugins.ppm import PyramidPooling


class UPerNet(Decoder):
    """Pyramid pooling and a feature pyramid.

    Args:
        channels: width of every level; None takes a quarter of f5's channels.
        bins: regions per side of each branch of the pyramid pooling.
        level_norm_eps: puts a layer norm over the channels on each of f2 … f5, with this addend of
            the variance; None has none.
    """

    default_output_stride: ClassVar[int] = 32
    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        level_norm_eps: float | None = None,
    ) -> None:
        super().__init__(setup)
        self.level_norms = nn.ModuleList()
        if level_norm_eps is not None:
            for count in setup.encoder_channels[2:]:
                self.level_norms.append(ChannelNorm(count, eps=level_norm_eps))
        width = channels or max(1, setup.encoder_channels[5] // 4)
        self.out_channels = width
        self.ppm = PyramidPooling(
            setup.encoder_channels[5],
            out_channels=width,
            width=width,
            bins=bins,
            norm=self.norm,
            align_corners=self.align_corners,
        )
        # f2, f3, f4
        self.laterals = nn.ModuleList(
            ConvNormAct(count, width, 1, norm=self.norm) for count in setup.encoder_channels[2:5]
        )
        self.smooth = nn.ModuleList(
            ConvNormAct(width, width, 3, norm=self.norm) for _ in self.laterals
        )
        strides = setup.encoder_strides
        # p5 to f4, p4 to f3, p3 to f2; then p3, p4, p5 to f2
        self.top_down = nn.ModuleList(
            self._upsample(width, strides[level + 1] // strides[level]) for level in (4, 3, 2)
        )
        self.align = nn.ModuleList(
            self._upsample(width, strides[level] // strides[2]) for level in (3, 4, 5)
        )
        self.fuse = ConvNormAct(4 * width, width, 3, norm=self.norm)

    def _upsample(self, channels: int, factor: int) -> Upsample:
        return Upsample(channels, factor, align_corners=self.align_corners)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the fused pyramid at the size of f2."""
        return self._fused(self._normed(features))

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the fused pyramid with the auxiliary logits, both of the same levels."""
        features = self._normed(features)
        return DecoderOutput(self._fused(features), self.auxiliary_logits(features))

    def _normed(self, features: list[Tensor]) -> list[Tensor]:
        if not self.level_norms:
            return features
        levels = zip(self.level_norms, features[2:], strict=True)
        return [*features[:2], *(norm(feature) for norm, feature in levels)]

    def _fused(self, features: list[Tensor]) -> Tensor:
        pyramid = [self.ppm(features[5])]  # p5, then p4 … p2 in front of it
        steps = zip(self.top_down, reversed(self.laterals), features[4:1:-1], strict=True)
        for upsample, lateral, feature in steps:
            up = upsample(pyramid[0], feature.shape[-2:])
            pyramid.insert(0, lateral(feature) + up)
        levels = [smooth(level) for smooth, level in zip(self.smooth, pyramid[:3], strict=True)]
        levels.append(pyramid[3])
        size = levels[0].shape[-2:]
        aligned = [up(level, size) for up, level in zip(self.align, levels[1:], strict=True)]
        output: Tensor = self.fuse(torch.cat([levels[0], *aligned], dim=1))
        return output
