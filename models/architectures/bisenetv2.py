"""BiSeNetV2: details from the image itself, and a lightweight encoder's semantics, gate each other.

Paper:   Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic
         Segmentation", IJCV 2021, https://arxiv.org/abs/2004.02147
Head:    details = eight 3x3 convolutions of the image, to stride 8; semantics = conv 3x3 (f5 + its
         mean, normalised and convolved); y = a(details) · sigmoid(up(b(semantics))) + up(c(details)
         · sigmoid(d(semantics))), c to the size of f5; conv 3x3, then conv 3x3 to head_channels.
         The paper takes any lightweight encoder; its own is `bisenetv2`.
Training: cross-entropy of a head on each of f2 … f5 at 1.
Differs: a norm and a ReLU follow the last convolution of the semantics and that of y, as in the
         code that published weights were trained with.
Shape:   f0, f2 … f5 -> (N, head_channels, H/8, W/8)
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup
from maskzoo.models.network.layers import AuxiliaryHead, ConvNormAct, Norm, create_norm
from maskzoo.models.network.upsample import Upsample

_LEVELS = (2, 3, 4, 5)


class BiSeNetV2(Decoder):
    """Detail branch, context embedding and guided aggregation.

    Args:
        detail_channels: of the detail branch at strides 2, 4 and 8; the last is that of y.
        head_channels: width of the output.
        auxiliary_widths: of the heads on f2 … f5, which only training has.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        detail_channels: tuple[int, int, int] = (64, 64, 128),
        head_channels: Annotated[int, Field(ge=1)] = 1024,
        auxiliary_widths: tuple[int, int, int, int] = (16, 64, 256, 1024),
    ) -> None:
        super().__init__(setup)
        norm = self.norm
        width = detail_channels[-1]
        self.out_channels = head_channels
        self.details = _detail_branch(setup.encoder_channels[0], detail_channels, norm)
        self.semantics = ContextEmbedding(setup.encoder_channels[5], width, norm)
        self.aggregate = GuidedAggregation(
            width, setup.encoder_strides[5] // 8, norm=norm, align_corners=self.align_corners
        )
        self.head = ConvNormAct(width, head_channels, 3, norm=norm)
        self.auxiliary_heads = nn.ModuleDict()
        for level, channels in zip(_LEVELS, auxiliary_widths, strict=True):
            in_channels = setup.encoder_channels[level]
            if in_channels:
                self.auxiliary_heads[f"f{level}"] = AuxiliaryHead(
                    in_channels, channels, setup.num_classes, norm=norm, dropout=self.dropout
                )
                self.aux_weights[f"f{level}"] = 1.0

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the aggregated map."""
        details, semantics = self.details(features[0]), self.semantics(features[5])
        output: Tensor = self.head(self.aggregate(details, semantics))
        return output

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the same, and the logits of f2 … f5."""
        aux = {name: head(features[int(name[1:])]) for name, head in self.auxiliary_heads.items()}
        return DecoderOutput(self(features), aux)


class ContextEmbedding(nn.Module):
    """A map with its normalised, convolved mean: (N, C, h, w) -> (N, C', h, w)."""

    def __init__(self, in_channels: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm = create_norm(norm, in_channels)
        if norm == "batch":  # the batch norm behind the next convolution cancels it in training
            self.norm.get_parameter("bias").requires_grad_(False)
        self.mean = ConvNormAct(in_channels, in_channels, 1, norm=norm)
        self.out = ConvNormAct(in_channels, channels, 3, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved sum."""
        mean = self.mean(self.norm(x.mean(dim=(2, 3), keepdim=True)))
        output: Tensor = self.out(x + mean)
        return output


class GuidedAggregation(nn.Module):
    """Details and semantics, each gated by the other: (N, C, h, w), (N, C, h', w') -> (N, C, h, w).

    Args:
        channels: C of both.
        factor: h / h', 4 in the paper.
        norm: normalisation.
        align_corners: convention of the resizes.
    """

    def __init__(
        self, channels: int, factor: int, *, norm: Norm = "batch", align_corners: bool = False
    ) -> None:
        super().__init__()
        self.details_same = _separable(channels, norm)
        down: list[nn.Module] = [
            ConvNormAct(channels, channels, 3, stride=min(2, factor), norm=norm, act=False)
        ]
        if factor > 2:
            down.append(nn.AvgPool2d(3, stride=factor // 2, padding=1))
        self.details_down = nn.Sequential(*down)
        self.semantics_up = ConvNormAct(channels, channels, 3, norm=norm, act=False)
        self.semantics_same = _separable(channels, norm)
        self.upsamplings = nn.ModuleList(
            Upsample(channels, factor, align_corners=align_corners) for _ in range(2)
        )
        self.out = ConvNormAct(channels, channels, 3, norm=norm)

    def forward(self, details: Tensor, semantics: Tensor) -> Tensor:
        """Return the aggregated map."""
        size = details.shape[-2:]
        gate = self.upsamplings[0](self.semantics_up(semantics), size).sigmoid()
        coarse = self.details_down(details) * self.semantics_same(semantics).sigmoid()
        output: Tensor = self.out(
            self.details_same(details) * gate + self.upsamplings[1](coarse, size)
        )
        return output


def _separable(channels: int, norm: Norm) -> nn.Sequential:
    """Return a depth-wise 3x3 convolution with a norm, and a bare 1x1."""
    return nn.Sequential(
        ConvNormAct(channels, channels, 3, groups=channels, norm=norm, act=False),
        nn.Conv2d(channels, channels, 1),
    )


def _detail_branch(in_channels: int, channels: tuple[int, int, int], norm: Norm) -> nn.Sequential:
    """Return the convolutions of the image: two at stride 2, three at stride 4, three at 8."""
    layers: list[nn.Module] = []
    for width, count in zip(channels, (2, 3, 3), strict=True):
        for index in range(count):
            layers.append(ConvNormAct(in_channels, width, 3, stride=1 if index else 2, norm=norm))
            in_channels = width
    return nn.Sequential(*layers)
