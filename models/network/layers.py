"""Layers shared by the architectures.

Letters: N batch, C channels, H W pixels, K classes, h w the size of a feature map.
Each layer initialises itself in its constructor and nothing re-initialises it later, so a
zero-initialised convolution inside a mechanism stays zero on the fully built network.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["batch", "group", "instance", "none"]


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that also trains on a single value per channel.

    The branches that pool to 1 x 1 (PPM, ASPP) see one value per channel at batch 1. Its batch
    variance does not exist and torch raises; here such a call uses the running statistics, as
    evaluation does, and leaves them as they are. Everything else is `torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if self.training and input.shape[0] * input.shape[2] * input.shape[3] == 1:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class GroupNorm(nn.GroupNorm):
    """Group normalisation that also trains on a single value, where torch raises."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each position."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNormAct(nn.Sequential):
    """Convolution, normalisation, ReLU: (N, in_channels, h, w) -> (N, out_channels, h', w').

    The padding keeps the size at stride 1. The convolution has a bias only without a norm.

    Args:
        in_channels, out_channels: channels before and after.
        kernel_size: side of the square kernel.
        act: whether a ReLU follows.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        norm: Norm = "batch",
        act: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size - 1) // 2,
            dilation=dilation,
            groups=groups,
            bias=norm == "none",
        )
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)
        if norm != "none":
            self.norm = create_norm(norm, out_channels)
        if act:
            self.act = nn.ReLU(inplace=True)


class SeparableConv(nn.Sequential):
    """Depth-wise then point-wise convolution, norm and ReLU after **each** (DeepLabV3+).

    Shape: (N, in_channels, h, w) -> (N, out_channels, h, w).
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, dilation: int = 1, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels, in_channels, 3, dilation=dilation, groups=in_channels, norm=norm
        )
        self.pointwise = ConvNormAct(in_channels, out_channels, 1, norm=norm)


class Classifier(nn.Sequential):
    """Channel dropout and a convolution to K logits: (N, C, h, w) -> (N, K, h, w).

    Weights are initialised as in Glorot and Bengio, AISTATS 2010, as in
    segmentation-models-pytorch. With the usual normal of 0.01, a narrow head starts near zero;
    Adam's first steps then move all of its weights alike, towards the most frequent class, and a
    network of 16 channels may never predict another one.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, dropout: float = 0.1, kernel_size: int = 1
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        self.conv = nn.Conv2d(in_channels, num_classes, kernel_size, padding=kernel_size // 2)
        nn.init.xavier_uniform_(self.conv.weight)
        bias = self.conv.bias
        assert bias is not None, "a classifier has a bias"
        nn.init.zeros_(bias)


class AuxiliaryHead(nn.Sequential):
    """The dense auxiliary head of PSPNet (section 3.3) on an intermediate feature.

    Shape: (N, C, h, w) -> (N, K, h, w). Used in training only.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        *,
        kernel_size: int = 3,
        dilation: int = 1,
        norm: Norm = "batch",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.conv = ConvNormAct(in_channels, channels, kernel_size, dilation=dilation, norm=norm)
        self.classifier = Classifier(channels, num_classes, dropout=dropout)


class Residual(nn.Module):
    """x + convolutions of x, with a 1x1 convolution of x where size or channels change.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. DDRNet and PIDNet leave
    out the last ReLU of a stage, since their branches are added before it.

    Args:
        in_channels, out_channels: before and after.
        width: of a bottleneck's 3x3 convolution between two 1x1; None has two 3x3 instead.
        stride: of the 3x3 convolution, the first of two.
        act: whether a ReLU follows the sum.
        norm: normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int | None = None,
        stride: int = 1,
        act: bool = True,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        if width is None:
            self.convs = nn.Sequential(
                ConvNormAct(in_channels, out_channels, 3, stride=stride, norm=norm),
                ConvNormAct(out_channels, out_channels, 3, norm=norm, act=False),
            )
        else:
            self.convs = nn.Sequential(
                ConvNormAct(in_channels, width, 1, norm=norm),
                ConvNormAct(width, width, 3, stride=stride, norm=norm),
                ConvNormAct(width, out_channels, 1, norm=norm, act=False),
            )
        is_projected = stride != 1 or in_channels != out_channels
        self.shortcut = (
            ConvNormAct(in_channels, out_channels, 1, stride=stride, norm=norm, act=False)
            if is_projected
            else nn.Identity()
        )
        self.act = nn.ReLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        output: Tensor = self.act(self.convs(x) + self.shortcut(x))
        return output


def residual_stage(
    in_channels: int, channels: int, blocks: int, *, stride: int = 1, norm: Norm = "batch"
) -> nn.Sequential:
    """Return residual blocks of two 3x3 convolutions, the last without a ReLU after its sum."""
    return nn.Sequential(
        *(
            Residual(
                channels if index else in_channels,
                channels,
                stride=1 if index else stride,
                act=index < blocks - 1,
                norm=norm,
            )
            for index in range(blocks)
        )
    )


def create_norm(norm: Norm, channels: int) -> nn.Module:
    """Return the normalisation of that name for C channels.

    `group` has up to 32 groups of a multiple of four channels, as many as divide C. It does not
    depend on the batch. On a 1 x 1 map a group of one channel would always be normalised to zero,
    as `instance` does, which has a group for each channel.
    """
    if norm == "batch":
        return BatchNorm2d(channels)
    if norm == "instance":
        return GroupNorm(channels, channels)
    if norm == "group":
        fitting = (count for count in (32, 16, 8, 4, 2) if channels % (4 * count) == 0)
        groups = next(fitting, 1)
        return GroupNorm(groups, channels)
    return nn.Identity()


def start_at_zero(layer: ConvNormAct) -> None:
    """Zero a layer's last scale or convolution, so that it outputs 0 at first.

    A mechanism that adds such a layer's output to its input starts as the identity.
    """
    last = layer.norm if hasattr(layer, "norm") else layer.conv
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


def crop(x: Tensor, size: torch.Size) -> Tensor:
    """Return the top left part of that size.

    By indices: a slice asks whether it cuts anything, and what holds at one size would be
    fixed in an exported network.
    """
    for dim, length in zip((2, 3), size, strict=True):
        x = x.index_select(dim, torch.arange(length, device=x.device))
    return x


def as_float32(x: Tensor) -> Tensor:
    """Return x in float32, or as it is in float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def resize(x: Tensor, size: tuple[int, int] | torch.Size, align_corners: bool = False) -> Tensor:
    """Resize a feature map to (height, width), bilinearly.

    Always by size, never by factor, so a map of odd size comes back exactly. Equal sizes are not a
    special case: a branch on the size would tie an exported network to its example size.
    """
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)
