"""CoordConv: a convolution that knows where it is.

Paper:   Liu et al., "An Intriguing Failing of Convolutional Neural Networks and the CoordConv
         Solution", NeurIPS 2018, https://arxiv.org/abs/1807.03247
Idea:    two more input channels hold x and y in -1 … 1 (and the radius on request).
Differs: the weights of those channels are a convolution of their own, added to the plain one,
         which is the same function; they start at 0, so a fresh CoordConv is the convolution that
         it replaces. The official code divides each axis by the other's length; here each spans
         -1 … 1, and an axis of one pixel is 0.
Note:    a network that knows positions is tied to where the training crops lay in it; with tiled
         inference positions are those in the tile.
Shape:   (N, C, H, W) -> that of the convolution replaced
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskzoo.models.plugins.convolution import ConvolutionLike


class CoordConv(ConvolutionLike):
    """Convolution over the input and its coordinates.

    Args:
        channels: C, or the convolution to replace.
        radius: whether √(x² + y²) is a third coordinate.
    """

    def __init__(self, channels: int | nn.Conv2d, *, radius: bool = False) -> None:
        super().__init__(channels)
        self.radius = radius
        self.coordinates = nn.Conv2d(
            3 if radius else 2,
            self.out_channels,
            self.kernel_size,  # type: ignore[arg-type]
            stride=self.stride,  # type: ignore[arg-type]
            padding=self.padding,  # type: ignore[arg-type]
            dilation=self.dilation,  # type: ignore[arg-type]
            bias=False,
        )
        nn.init.zeros_(self.coordinates.weight)

    def forward(self, input: Tensor) -> Tensor:
        """Return conv([input, x, y])."""
        output: Tensor = super().forward(input) + self.coordinates(
            coordinate_maps(input, self.radius)
        )
        return output


def coordinate_maps(x: Tensor, radius: bool = False) -> Tensor:
    """Return the maps x, y and the radius on request, (1, 2 or 3, H, W), for (N, C, H, W)."""
    height, width = x.shape[-2:]
    rows = _axis(height, x)[:, None].expand(height, width)
    columns = _axis(width, x)[None, :].expand(height, width)
    maps = [columns, rows]
    if radius:
        maps.append((columns.square() + rows.square()).sqrt())
    return torch.stack(maps)[None]


def _axis(length: int, like: Tensor) -> Tensor:
    steps = torch.arange(length, device=like.device, dtype=like.dtype)
    last = steps[-1:]
    return (2 * steps - last) / last.clamp(min=1)
