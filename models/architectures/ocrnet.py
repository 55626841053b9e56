"""OCRNet: pixels attend to the classes' regions.

Paper:   Yuan et al., "Object-Contextual Representations for Semantic Segmentation", ECCV 2020,
         https://arxiv.org/abs/1909.11065
Head:    coarse logits from f4; each class's region is the mean of conv 3x3(f5) under the softmax
         of its coarse logits over the positions; every pixel attends to the K regions, and what
         it gathers is concatenated with it -> conv 1x1.
Variants: with `joined`, f2 … f5 are concatenated at the size of f2 and stand for both f4 and f5, as
         the authors do on HRNet; their coarse convolution is then 1x1.
Training: cross-entropy on the coarse logits at 0.4, under the name `coarse`.
Shape:   f4, f5 -> (N, channels, h, w), the size of f5; joined: f2 … f5, the size of f2
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.network.attention import ProjectedAttention
from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup
from maskzoo.models.network.layers import AuxiliaryHead, ConvNormAct, Norm, resize


class ObjectContext(nn.Module):
    """Pixels with what they gather from the regions: (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: C of the pixels.
        attention_channels: width of queries, keys and values.
        norm: normalisation.
    """

    def __init__(self, channels: int, attention_channels: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.attention = ProjectedAttention(
            channels,
            channels,
            attention_channels,
            value=ConvNormAct(channels, attention_channels, 1, norm=norm),
            norm=norm,
        )
        self.out = ConvNormAct(attention_channels, channels, 1, norm=norm)
        self.fuse = ConvNormAct(2 * channels, channels, 1, norm=norm)

    def forward(self, x: Tensor, coarse: Tensor) -> Tensor:
        """Return the pixels joined with their context.

        Args:
            x: (N, C, H, W).
            coarse: logits (N, K, H, W).
        """
        context = self.out(self.attention(x, gather_regions(x, coarse)))
        output: Tensor = self.fuse(torch.cat([context, x], dim=1))
        return output


class OCRNet(Decoder):
    """Object-contextual representations on f5, with coarse logits from f4.

    Args:
        channels: width of the pixels and of the output; None takes a quarter of f5's.
        attention_channels: width of queries, keys and values; None takes half of `channels`.
        coarse_channels: width of the coarse head; None takes a quarter of f4's.
        joined: whether f2 … f5 together take the place of f4 and f5.
    """

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        attention_channels: int | None = None,
        coarse_channels: int | None = None,
        joined: bool = False,
    ) -> None:
        super().__init__(setup)
        width = channels or max(1, setup.encoder_channels[5] // 4)
        self.out_channels = width
        self.joined = joined
        low, high = setup.encoder_channels[4:6]
        if joined:
            low = high = sum(setup.encoder_channels[2:6])
        self.coarse = AuxiliaryHead(
            low,
            coarse_channels or max(1, low // 4),
            setup.num_classes,
            kernel_size=1 if joined else 3,
            norm=self.norm,
            dropout=self.dropout,
        )
        self.bottleneck = ConvNormAct(high, width, 3, norm=self.norm)
        inner = attention_channels or max(1, width // 2)
        self.context = ObjectContext(width, inner, norm=self.norm)
        self.aux_weights["coarse"] = 0.4

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the pixels joined with their context."""
        low, high = self._inputs(features)
        return self._join(high, self.coarse(low))

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the same, and the coarse logits."""
        low, high = self._inputs(features)
        coarse = self.coarse(low)
        return DecoderOutput(self._join(high, coarse), {"coarse": coarse})

    def _inputs(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return what the coarse head and the pixels are made of."""
        if not self.joined:
            return features[4], features[5]
        size = features[2].shape[-2:]
        aligned = [resize(feature, size, self.align_corners) for feature in features[2:6]]
        together = torch.cat(aligned, dim=1)
        return together, together

    def _join(self, x: Tensor, coarse: Tensor) -> Tensor:
        pixels = self.bottleneck(x)
        output: Tensor = self.context(pixels, resize(coarse, pixels.shape[-2:], self.align_corners))
        return output


def gather_regions(x: Tensor, coarse: Tensor) -> Tensor:
    """Return the mean of x under each class's softmax over the positions: (N, C, K, 1)."""
    weights = coarse.flatten(2).softmax(dim=2).to(x.dtype)  # (N, K, L)
    return (x.flatten(2) @ weights.transpose(1, 2)).unsqueeze(3)
