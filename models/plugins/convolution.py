"""Base of the plug-ins that replace a convolution.

They are built from the convolution that they replace, so that stride, dilation and, where they
have such a tensor, weight and bias stay.
"""

from __future__ import annotations

from torch import nn


def as_convolution(channels: int | nn.Conv2d) -> nn.Conv2d:
    """Return the convolution to replace; for a number C a new 3 x 3 one, C -> C, without bias."""
    if isinstance(channels, nn.Conv2d):
        return channels
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)


class ConvolutionLike(nn.Conv2d):
    """A convolution with the sizes and the very parameters of another.

    Args:
        channels: the convolution to replace, or C for a 3 x 3 one of C -> C channels.
    """

    def __init__(self, channels: int | nn.Conv2d) -> None:
        conv = as_convolution(channels)
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            stride=conv.stride,  # type: ignore[arg-type]
            padding=conv.padding,  # type: ignore[arg-type]
            dilation=conv.dilation,  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
            device="meta",
        )
        self.weight, self.bias = conv.weight, conv.bias
