"""Grouped convolution: groups of channels convolve apart, with a shuffle on request.

Paper:   Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
         NeurIPS 2012,
         https://papers.nips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html
         the shuffle: Zhang et al., "ShuffleNet", CVPR 2018, https://arxiv.org/abs/1707.01083
Idea:    g groups of channels convolve apart: 1/g of the weights (not of the biases) and of the
         operations. The shuffle interleaves the groups' outputs, so that the next grouped
         convolution mixes them.
Shape:   (N, C, H, W) -> that of the convolution replaced
"""

from __future__ import annotations

from torch import Tensor, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.plugins.convolution import as_convolution


class GroupedConv(nn.Conv2d):
    """Convolution in groups.

    Args:
        channels: C, or the convolution to replace.
        groups: g; must divide the channels on both sides.
        shuffle: whether the outputs of the groups are interleaved.

    Raises:
        SpecError: g does not divide the channels.
    """

    def __init__(
        self, channels: int | nn.Conv2d, *, groups: int = 4, shuffle: bool = False
    ) -> None:
        conv = as_convolution(channels)
        if conv.in_channels % groups or conv.out_channels % groups:
            sizes = f"{conv.in_channels} -> {conv.out_channels}"
            raise SpecError(
                "plug-in 'grouped'", [f"groups={groups} must divide the channels {sizes}"]
            )
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            stride=conv.stride,  # type: ignore[arg-type]
            padding=conv.padding,  # type: ignore[arg-type]
            dilation=conv.dilation,  # type: ignore[arg-type]
            groups=groups,
            bias=conv.bias is not None,
        )
        self.shuffle = shuffle

    def forward(self, input: Tensor) -> Tensor:
        """Return the grouped convolution."""
        y = super().forward(input)
        if not self.shuffle:
            return y
        output: Tensor = y.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
        return output
