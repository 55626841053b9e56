"""PIDNet: details, context and boundaries in three branches; boundaries choose between the others.

Paper:   Xu et al., "PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers",
         CVPR 2023, https://arxiv.org/abs/2206.02066
Head:    P and D are residual branches of stride 8 from f3. P takes f4, then f5, by s · up(f) + (1 -
         s) · P with s the sigmoid of the product of both, projected and summed (Pag); D adds conv
         3x3 of them. f5 goes on through bottlenecks to half its size and a pyramid of means
         (PAPPM).
         The three join under the sigmoid of D: conv 1x1 (P + (1 - s) · I) + conv 1x1 (I + s · P).
         Then conv 3x3. Norm and ReLU stand before it.
         Meant for `pidnet_s`, `pidnet_m` and `pidnet_l`, the I branch to stride 32; takes any.
Variants: `large` has PIDNet-L's pyramid (DAPPM), wider D and one 3x3 convolution of s · P + (1 - s)
         · I; the paper's L has `pyramid_channels` 112 and `blocks` 3.
Training: cross-entropy of a head on P at 0.4; `edges` from D, as binary cross-entropy at 20, and
         cross-entropy of the logits where D finds a boundary, at 1.
Shape:   f3, f4, f5 -> (N, head_channels, h3, w3), the size of f3
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.architectures.ddrnet import MOST_CHANNELS, MeanPyramid, PreConv, head
from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup, EdgeTerms
from maskzoo.models.network.layers import (
    Classifier,
    ConvNormAct,
    Norm,
    Residual,
    residual_stage,
)
from maskzoo.models.network.upsample import Upsample


@dataclass
class Branches:
    """The maps of stride 8 before they join.

    Attributes:
        proportional: P's.
        boundary: D's.
        early: P's after f4, for the head that training has on it.
        late: D's after f5, for its boundaries in training.
    """

    proportional: Tensor
    boundary: Tensor
    early: Tensor
    late: Tensor


class PIDNet(Decoder):
    """Three branches.

    Args:
        channels: width of P; None takes f3's, at most 128. D has half of it at first.
        blocks: residual blocks of each stage of P.
        pyramid_channels: width of the pyramid's levels.
        head_channels: width of the output; None takes twice `channels`, at most 128.
        large: whether pyramid, D and the last fusion are those of PIDNet-L.
    """

    default_output_stride: ClassVar[int] = 32
    edge_terms: ClassVar[EdgeTerms | None] = EdgeTerms("edges", weight=20.0, aware_weight=1.0)

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: Annotated[int, Field(ge=2)] | None = None,
        blocks: Annotated[int, Field(ge=1)] = 2,
        pyramid_channels: Annotated[int, Field(ge=1)] = 96,
        head_channels: Annotated[int, Field(ge=1)] | None = None,
        large: bool = False,
    ) -> None:
        super().__init__(setup)
        norm = self.norm
        shallow, _, deep = setup.encoder_channels[3:6]
        strides = setup.encoder_strides
        width = channels or min(shallow, MOST_CHANNELS)
        self.out_channels = head_channels or min(2 * width, MOST_CHANNELS)
        self.proportional = _proportional(shallow, width, blocks, norm)
        self.boundary = _boundary(shallow, width, large, norm)
        self.guided = nn.ModuleList(self._guided(setup, width, level) for level in (4, 5))
        self.differences = nn.ModuleList(
            ConvNormAct(setup.encoder_channels[level], out, 3, norm=norm, act=False)
            for level, out in ((4, width if large else width // 2), (5, width))
        )
        self.upsamplings = nn.ModuleList(
            Upsample(out, strides[level] // strides[3], align_corners=self.align_corners)
            for level, out in ((4, width if large else width // 2), (5, width))
        )
        self.integral = nn.Sequential(
            Residual(deep, 8 * width, width=4 * width, stride=2, act=False, norm=norm),
            Residual(8 * width, 8 * width, width=4 * width, act=False, norm=norm),
        )
        self.pyramid = MeanPyramid(
            8 * width, pyramid_channels, 2 * width, parallel=not large, norm=norm
        )
        self.upsample = Upsample(
            2 * width, 2 * strides[5] // strides[3], align_corners=self.align_corners
        )
        self.join = (LargeJoin if large else Join)(2 * width, norm)
        self.head = head(2 * width, self.out_channels, norm=norm)
        self.auxiliary_head = nn.Sequential(
            head(width, self.out_channels, norm=norm),
            Classifier(self.out_channels, setup.num_classes, dropout=self.dropout),
        )
        self.auxiliary_edges = nn.Sequential(
            head(width, width // 2, norm=norm), Classifier(width // 2, 1, dropout=self.dropout)
        )
        self.aux_weights["proportional"] = 0.4

    def _guided(self, setup: DecoderSetup, width: int, level: int) -> GuidedSum:
        factor = setup.encoder_strides[level] // setup.encoder_strides[3]
        return GuidedSum(
            setup.encoder_channels[level],
            width,
            factor,
            norm=self.norm,
            align_corners=self.align_corners,
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the joined branches."""
        return self._join(features, self._branches(features))

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the same, the logits of P and the boundaries of D."""
        branches = self._branches(features)
        return DecoderOutput(
            self._join(features, branches),
            {"proportional": self.auxiliary_head(branches.early)},
            edges=self.auxiliary_edges(branches.late),
        )

    def _branches(self, features: list[Tensor]) -> Branches:
        x = features[3]
        p, d = self.proportional[0](x), self.boundary[0](x)
        maps = []
        for index, level in enumerate((4, 5)):
            if index:
                p, d = self.proportional[1](torch.relu(p)), self.boundary[1](torch.relu(d))
            p = self.guided[index](p, features[level])
            difference = self.differences[index](features[level])
            d = d + self.upsamplings[index](difference, d.shape[-2:])
            maps.append((p, d))
        p, d = self.proportional[2](torch.relu(p)), self.boundary[2](torch.relu(d))
        return Branches(p, d, early=maps[0][0], late=maps[1][1])

    def _join(self, features: list[Tensor], branches: Branches) -> Tensor:
        integral = self.pyramid(self.integral(features[5]))
        integral = self.upsample(integral, branches.boundary.shape[-2:])
        output: Tensor = self.head(self.join(branches.proportional, integral, branches.boundary))
        return output


class GuidedSum(nn.Module):
    """P and a deeper map, weighted by how alike they are (Pag): (N, C, h, w) -> (N, C, h, w).

    Args:
        in_channels: of the deeper map.
        channels: C of P.
        factor: by which the deeper map is enlarged.
        norm: normalisation of the projections.
        align_corners: convention of the resizes.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        factor: int,
        *,
        norm: Norm = "batch",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        width = channels // 2
        self.compress = ConvNormAct(in_channels, channels, 1, norm=norm, act=False)
        self.deep = ConvNormAct(channels, width, 1, norm=norm, act=False)
        self.own = ConvNormAct(channels, width, 1, norm=norm, act=False)
        self.upsamplings = nn.ModuleList(
            Upsample(count, factor, align_corners=align_corners) for count in (width, channels)
        )

    def forward(self, p: Tensor, deeper: Tensor) -> Tensor:
        """Return s · up(deeper) + (1 - s) · P."""
        size = p.shape[-2:]
        deeper = self.compress(deeper)
        alike = self.own(p) * self.upsamplings[0](self.deep(deeper), size)
        s = alike.sum(dim=1, keepdim=True).sigmoid()
        output: Tensor = s * self.upsamplings[1](deeper, size) + (1 - s) * p
        return output


class Join(nn.Module):
    """P where D finds a boundary, I elsewhere (light Bag): three maps (N, C, h, w) -> one."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.proportional = ConvNormAct(channels, channels, 1, norm=norm, act=False)
        self.integral = ConvNormAct(channels, channels, 1, norm=norm, act=False)

    def forward(self, p: Tensor, i: Tensor, d: Tensor) -> Tensor:
        """Return the joined map."""
        s = d.sigmoid()
        output: Tensor = self.proportional(p + (1 - s) * i) + self.integral(i + s * p)
        return output


class LargeJoin(nn.Module):
    """The same with one 3x3 convolution (Bag)."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = PreConv(channels, channels, 3, norm=norm)

    def forward(self, p: Tensor, i: Tensor, d: Tensor) -> Tensor:
        """Return the joined map."""
        s = d.sigmoid()
        output: Tensor = self.conv(s * p + (1 - s) * i)
        return output


def _proportional(in_channels: int, width: int, blocks: int, norm: Norm) -> nn.ModuleList:
    """Return the three stages of P."""
    return nn.ModuleList(
        [
            residual_stage(in_channels, width, blocks, norm=norm),
            residual_stage(width, width, blocks, norm=norm),
            Residual(width, 2 * width, width=width, act=False, norm=norm),
        ]
    )


def _boundary(in_channels: int, width: int, large: bool, norm: Norm) -> nn.ModuleList:
    """Return the three stages of D."""
    half = width // 2
    first = Residual(in_channels, width if large else half, act=False, norm=norm)
    second = (
        Residual(width, width, act=False, norm=norm)
        if large
        else Residual(half, width, width=half, act=False, norm=norm)
    )
    last = Residual(width, 2 * width, width=width, act=False, norm=norm)
    return nn.ModuleList([first, second, last])
