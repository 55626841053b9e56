"""DDRNet: a map of stride 8 that exchanges with the deep one, and a pyramid of means behind it.

Paper:   Hong et al., "Deep Dual-resolution Networks for Real-time and Accurate Semantic
         Segmentation of Road Scenes", 2021, https://arxiv.org/abs/2101.06085
Head:    high = two residual blocks (f3); low = f5 + down(high), high = high + up(conv 1x1 (f5));
         each goes through a bottleneck, low to half its size, then through DAPPM: means of windows
         of 1, 5, 9, 17 and the whole map, added up one after the other by 3x3 convolutions. conv
         3x3 (high + up(low)). Norm and ReLU stand before every convolution of DAPPM and of the
         last.
         Meant for `ddrnet23_slim` and `ddrnet23`, whose f3 has exchanged with f4 before; takes any.
Training: cross-entropy of a second head on f3 at 0.4.
Shape:   f3, f5 -> (N, head_channels, h3, w3), the size of f3
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup
from maskzoo.models.network.layers import (
    Classifier,
    ConvNormAct,
    Norm,
    Residual,
    create_norm,
    residual_stage,
    resize,
)
from maskzoo.models.network.own.dual import Exchange
from maskzoo.models.network.upsample import Upsample

WINDOWS = ((5, 2), (9, 4), (17, 8))
"""Side and stride of the windows whose means a pyramid adds; the last level is the whole map."""

MOST_CHANNELS = 128
"""Of the branch of stride 8 where the caller names none; the paper's have 64 and 128."""


class DDRNet(Decoder):
    """Two resolutions, their second exchange and DAPPM.

    Args:
        channels: width of the branch of stride 8; None takes f3's, at most 128.
        pyramid_channels: width of DAPPM's branches.
        head_channels: width of the output; None takes `channels`.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: Annotated[int, Field(ge=1)] | None = None,
        pyramid_channels: Annotated[int, Field(ge=1)] = 128,
        head_channels: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        super().__init__(setup)
        norm = self.norm
        shallow, deep = setup.encoder_channels[3], setup.encoder_channels[5]
        width = channels or min(shallow, MOST_CHANNELS)
        self.out_channels = head_channels or width
        self.high = residual_stage(shallow, width, 2, norm=norm)
        self.to_high = Exchange(
            ConvNormAct(deep, width, 1, norm=norm, act=False), align_corners=self.align_corners
        )
        self.to_low = Exchange(_down(setup, width, deep), align_corners=self.align_corners)
        self.high_end = Residual(width, 2 * width, width=width, act=False, norm=norm)
        self.low_end = Residual(deep, 8 * width, width=4 * width, stride=2, act=False, norm=norm)
        self.pyramid = MeanPyramid(8 * width, pyramid_channels, 2 * width, norm=norm)
        factor = 2 * setup.encoder_strides[5] // setup.encoder_strides[3]
        self.upsample = Upsample(2 * width, factor, align_corners=self.align_corners)
        self.head = head(2 * width, self.out_channels, norm=norm)
        self.auxiliary_head = nn.Sequential(
            head(shallow, self.out_channels, norm=norm),
            Classifier(self.out_channels, setup.num_classes, dropout=self.dropout),
        )
        self.aux_weights["high"] = 0.4

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the sum of both resolutions."""
        deep = features[5]
        high = self.high(torch.relu(features[3]))
        low = self.to_low(deep, high)
        high = self.high_end(torch.relu(self.to_high(high, deep)))
        low = self.pyramid(self.low_end(torch.relu(low)))
        output: Tensor = self.head(high + self.upsample(low, high.shape[-2:]))
        return output

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the same, and the logits of f3."""
        return DecoderOutput(self(features), {"high": self.auxiliary_head(features[3])})


class PreConv(nn.Sequential):
    """Normalisation, ReLU, convolution: (N, in_channels, h, w) -> (N, out_channels, h, w).

    Args:
        in_channels, out_channels: channels before and after.
        kernel_size: side of the square kernel.
        norm: normalisation; the convolution has a bias only where it is `none`.
        is_normalised: whether the input is normalised at all.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        dilation: int = 1,
        groups: int = 1,
        norm: Norm = "batch",
        is_normalised: bool = True,
    ) -> None:
        super().__init__()
        self.norm = create_norm(norm if is_normalised else "none", in_channels)
        self.act = nn.ReLU()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=groups,
            bias=norm == "none",
        )
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")


class MeanPyramid(nn.Module):
    """DAPPM or, in parallel, PAPPM: (N, C, h, w) -> (N, out_channels, h, w).

    Args:
        channels: C of the input.
        width: of each of the five levels.
        out_channels: of the output.
        parallel: whether every level is added to the first, and one convolution of four groups
            takes all (PAPPM), instead of one after the other (DAPPM).
        norm: normalisation.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        out_channels: int,
        *,
        parallel: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.means = nn.ModuleList(WindowMeans(side, stride) for side, stride in WINDOWS)
        count = len(WINDOWS) + 1
        self.levels = nn.ModuleList(PreConv(channels, width, norm=norm) for _ in range(count + 1))
        self.parallel = parallel
        if parallel:
            self.join = PreConv(count * width, count * width, 3, groups=count, norm=norm)
        else:
            self.steps = nn.ModuleList(PreConv(width, width, 3, norm=norm) for _ in range(count))
        self.out = PreConv((count + 1) * width, out_channels, norm=norm)
        self.shortcut = PreConv(channels, out_channels, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the joined levels."""
        one, *levels, whole = self.levels
        first = one(x)
        raised = [means(x, level) for means, level in zip(self.means, levels, strict=True)]
        mean = whole(x.mean(dim=(2, 3), keepdim=True))
        raised.append(mean.expand(-1, -1, *x.shape[-2:]))
        if self.parallel:
            joined = [first, self.join(torch.cat([level + first for level in raised], dim=1))]
        else:
            joined = [first]
            for step, level in zip(self.steps, raised, strict=True):
                joined.append(step(level + joined[-1]))
        output: Tensor = self.out(torch.cat(joined, dim=1)) + self.shortcut(x)
        return output


class WindowMeans(nn.Module):
    """Means of windows, a layer on them, and back to the size: (N, C, h, w) -> (N, C', h, w).

    Training pools. Evaluation multiplies by matrices instead, with a window more than there are:
    a program that is exported for any size may not hold a map whose side is 1 at small sizes.

    Args:
        side: of the windows; beyond the map are zeros.
        stride: between the windows' centres.
    """

    def __init__(self, side: int, stride: int) -> None:
        super().__init__()
        self.side = side
        self.stride = stride

    def forward(self, x: Tensor, layer: nn.Module) -> Tensor:
        """Return the layer's output for the means, which changes channels only."""
        if self.training:
            pooled = F.avg_pool2d(x, self.side, self.stride, padding=self.side // 2)
            return resize(layer(pooled), x.shape[-2:])
        (down_y, up_y), (down_x, up_x) = (self._matrices(size, x) for size in x.shape[-2:])
        means: Tensor = layer(down_y @ (x @ down_x.T))
        return up_y.to(means.dtype) @ (means @ up_x.T.to(means.dtype))

    def _matrices(self, size: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the matrix that averages along one axis, and the bilinear one back."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        count = (size - 1) // self.stride + 1
        places = torch.arange(size, device=like.device, dtype=dtype)
        windows = torch.arange(size // self.stride + 2, device=like.device, dtype=dtype)
        inside = (places[None] - self.stride * windows[:, None]).abs() <= self.side // 2
        source = ((places + 0.5) * count / size - 0.5).clamp(min=0).clamp(max=count - 1)
        up = (1 - (source[:, None] - windows[None]).abs()).clamp(min=0)
        return inside.to(like.dtype) / self.side, up.to(like.dtype)


def head(in_channels: int, out_channels: int, *, norm: Norm = "batch") -> nn.Sequential:
    """Return norm, ReLU, conv 3x3, norm, ReLU: what stands before a classifier."""
    return nn.Sequential(
        PreConv(in_channels, out_channels, 3, norm=norm),
        create_norm(norm, out_channels),
        nn.ReLU(),
    )


def _down(setup: DecoderSetup, width: int, deep: int) -> nn.Sequential:
    """Return two 3x3 convolutions from f3's size to f5's."""
    strides = [setup.encoder_strides[n + 1] // setup.encoder_strides[n] for n in (3, 4)]
    return nn.Sequential(
        ConvNormAct(width, 2 * width, 3, stride=strides[0], norm=setup.norm),
        ConvNormAct(2 * width, deep, 3, stride=strides[1], norm=setup.norm, act=False),
    )
