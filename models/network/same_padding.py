"""TensorFlow's SAME padding in whole numbers, for encoders of timm's `tf_*` family.

timm's `Conv2dSame` counts its padding by `math.ceil(x / stride)`. On the free sizes of an export
that is a division of real numbers in every strided layer, and proving facts about it takes torch
minutes: an export of a U-Net on EfficientNet-Lite0 took 320 s of processor time, and takes 69 with
the form below, which gives the same number.

Equation: pad = max((ceil(x / s) - 1) s + (k - 1) d + 1 - x, 0)
              = max((k - 1) d + 1 - s + (s - x mod s) mod s, 0)
"""

from __future__ import annotations

import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import MaxPool2dSame
from torch import Tensor, nn


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Return the cells that SAME padding adds to an axis, both sides together."""
    reach = (kernel - 1) * dilation + 1
    if reach < stride:  # kernels smaller than their stride may need no padding at all
        return max(reach - stride + (stride - size % stride) % stride, 0)
    return reach - stride + (stride - size % stride) % stride


class IntegerConv2dSame(Conv2dSame):
    """timm's `Conv2dSame` with its padding counted in whole numbers; the same parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad as TensorFlow does, more at the bottom and right, and convolve."""
        height, width = x.shape[-2:]
        rows = same_padding(height, self.kernel_size[0], self.stride[0], self.dilation[0])
        columns = same_padding(width, self.kernel_size[1], self.stride[1], self.dilation[1])
        padded = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.conv2d(
            padded, self.weight, self.bias, self.stride, (0, 0), self.dilation, self.groups
        )


class IntegerMaxPool2dSame(MaxPool2dSame):
    """timm's `MaxPool2dSame` with its padding counted in whole numbers."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad with the least value, more at the bottom and right, and take maxima."""
        height, width = x.shape[-2:]
        kernel, stride, dilation = map(_pair, (self.kernel_size, self.stride, self.dilation))
        rows = same_padding(height, kernel[0], stride[0], dilation[0])
        columns = same_padding(width, kernel[1], stride[1], dilation[1])
        sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        padded = F.pad(x, sides, value=float("-inf"))
        return F.max_pool2d(
            padded, self.kernel_size, self.stride, (0, 0), self.dilation, self.ceil_mode
        )


def count_padding_in_integers(network: nn.Module) -> None:
    """Change every SAME layer of `network` in place; parameters and outputs stay."""
    for module in network.modules():
        if type(module) is Conv2dSame:
            module.__class__ = IntegerConv2dSame
        elif type(module) is MaxPool2dSame:
            module.__class__ = IntegerMaxPool2dSame


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """Return the values for rows and columns."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])
