"""STDC: BiSeNet's context path on f4 and f5, joined with f3, which training teaches the details.

Paper:   Fan et al., "Rethinking BiSeNet For Real-time Semantic Segmentation", CVPR 2021,
         https://arxiv.org/abs/2104.13188
Head:    c = up(gate(conv 3x3 (f5)) + conv 1x1 (mean f5)), conv 3x3; c = up(gate(conv 3x3 (f4)) +
         c), conv 3x3; y = conv 1x1 (cat[f3, c]), y + y · sigmoid(two 1x1 of y's mean); conv 3x3. A
         gate multiplies a map by the sigmoid of a 1x1 convolution of its mean.
         Meant for `stdc1` and `stdc2`; takes any.
Training: cross-entropy of a head on each c at 1, and `edges`: a head on f3 that finds where
         the label map has details (binary cross-entropy and Dice).
Differs: enlargements repeat the nearest value, as in the authors' code.
Shape:   f3, f4, f5 -> (N, fused_channels, h3, w3), the size of f3
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup, EdgeTerms
from maskzoo.models.network.layers import AuxiliaryHead, ConvNormAct, Norm
from maskzoo.models.network.upsample import Upsample


class STDC(Decoder):
    """Context path and fusion.

    Args:
        channels: width of the context path.
        fused_channels: width of the output.
        auxiliary_head_channels: width of the heads that only training has.
    """

    default_output_stride: ClassVar[int] = 32
    edge_terms: ClassVar[EdgeTerms | None] = EdgeTerms("details", weight=1.0)

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: Annotated[int, Field(ge=1)] = 128,
        fused_channels: Annotated[int, Field(ge=1)] = 256,
        auxiliary_head_channels: Annotated[int, Field(ge=1)] = 64,
    ) -> None:
        super().__init__(setup)
        norm = self.norm
        self.out_channels = fused_channels
        below, low, high = setup.encoder_channels[3:6]
        strides = setup.encoder_strides
        self.mean = ConvNormAct(high, channels, 1, norm=norm)
        self.refine = nn.ModuleList(
            [Refinement(high, channels, norm), Refinement(low, channels, norm)]
        )
        self.upsamplings = nn.ModuleList(
            Upsample(channels, strides[n] // strides[n - 1], mode="nearest") for n in (5, 4)
        )
        self.convs = nn.ModuleList(ConvNormAct(channels, channels, 3, norm=norm) for _ in range(2))
        self.fuse = Fusion(below + channels, fused_channels, norm)
        self.out = ConvNormAct(fused_channels, fused_channels, 3, norm=norm)

        def auxiliary(in_channels: int, classes: int) -> AuxiliaryHead:
            return AuxiliaryHead(
                in_channels, auxiliary_head_channels, classes, norm=norm, dropout=self.dropout
            )

        self.auxiliary_heads = nn.ModuleList(
            auxiliary(channels, setup.num_classes) for _ in range(2)
        )
        self.auxiliary_details = auxiliary(below, 1)
        self.aux_weights |= {"deep": 1.0, "shallow": 1.0}

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return f3 joined with its context."""
        return self._join(features[3], self._contexts(features)[-1])

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the same, the logits of both contexts and the details of f3."""
        contexts = self._contexts(features)
        deep, shallow = (
            head(context) for head, context in zip(self.auxiliary_heads, contexts, strict=True)
        )
        return DecoderOutput(
            self._join(features[3], contexts[-1]),
            {"deep": deep, "shallow": shallow},
            edges=self.auxiliary_details(features[3]),
        )

    def _contexts(self, features: list[Tensor]) -> list[Tensor]:
        """Return the context at the size of f4, then at that of f3."""
        context = self.mean(features[5].mean(dim=(2, 3), keepdim=True))
        contexts = []
        for index, level in enumerate((5, 4)):
            context = self.refine[index](features[level]) + context
            context = self.upsamplings[index](context, features[level - 1].shape[-2:])
            context = self.convs[index](context)
            contexts.append(context)
        return contexts

    def _join(self, x: Tensor, context: Tensor) -> Tensor:
        output: Tensor = self.out(self.fuse(torch.cat([x, context], dim=1)))
        return output


class Refinement(nn.Module):
    """A convolved map times the gate from its mean: (N, C, h, w) -> (N, C', h, w)."""

    def __init__(self, in_channels: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = ConvNormAct(in_channels, channels, 3, norm=norm)
        self.gate = ConvNormAct(channels, channels, 1, norm=norm, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated map."""
        x = self.conv(x)
        output: Tensor = x * self.gate(x.mean(dim=(2, 3), keepdim=True)).sigmoid()
        return output


class Fusion(nn.Module):
    """A map that a squeeze-and-excitation gate strengthens: (N, C, h, w) -> (N, C', h, w)."""

    def __init__(self, in_channels: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = ConvNormAct(in_channels, channels, 1, norm=norm)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, max(1, channels // 4), 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(max(1, channels // 4), channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return y + y · gate."""
        y = self.conv(x)
        output: Tensor = y + y * self.gate(y.mean(dim=(2, 3), keepdim=True)).sigmoid()
        return output
