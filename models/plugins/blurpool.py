"""BlurPool: blur before sub-sampling, so that a shift of the image shifts the features.

Paper:   Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019,
         https://arxiv.org/abs/1904.11486
Idea:    max-pool of stride 2 -> max-pool of stride 1, blur of stride 2;
         conv of stride 2, ReLU -> conv of stride 1, ReLU, blur of stride 2;
         average pool of stride 2 -> blur of stride 2.
         The blur is a fixed binomial kernel, its sum 1, on each channel; the border is reflected.
Differs: written from the paper's formulas. A 1x1 convolution of stride 2 (a shortcut) is blurred
         before instead of after, which is the same and costs a quarter. Where a map is too small
         to be reflected, its edge is repeated. The blurred sizes are those of what is replaced.
Cost:    no parameters; a convolution that now has stride 1 costs four times as much.
Licence: from the paper; the authors' code is CC BY-NC-SA 4.0 and none of it is here.
Shape:   (N, C, H, W) -> (N, C, ⌈H/2⌉, ⌈W/2⌉)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.plugins.convolution import ConvolutionLike


class BlurPool(nn.Module):
    """Binomial blur of stride 2 on each channel.

    Args:
        channels: C; the blur has no weights that depend on it.
        kernel_size: side of the binomial kernel.
        stem: used by `blurpool@downsampling`: whether the convolution that makes f1, the dearest
            one, is blurred too. The official ResNets leave it.
    """

    kernel: Tensor

    def __init__(self, channels: int, *, kernel_size: int = 4, stem: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.stem = stem
        row = torch.ones(1)
        for _ in range(kernel_size - 1):
            row = F.pad(row, (1, 0)) + F.pad(row, (0, 1))  # Pascal's triangle
        kernel = torch.outer(row, row) / row.sum() ** 2
        self.register_buffer("kernel", kernel[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the blurred map at half the size."""
        x = reflect(reflect(x, self.kernel.shape[-1], dim=2), self.kernel.shape[-1], dim=3)
        channels = x.shape[1]
        return F.conv2d(
            x, self.kernel.to(x.dtype).expand(channels, 1, -1, -1), stride=2, groups=channels
        )


class BlurredPointwise(ConvolutionLike):
    """A 1 x 1 convolution of stride 2, blurred: the parameters of the one that it replaces."""

    def __init__(self, conv: nn.Conv2d, blur: BlurPool) -> None:
        super().__init__(conv)
        self.stride = (1, 1)
        self.blur = blur

    def forward(self, input: Tensor) -> Tensor:
        """Blur, sub-sample, convolve."""
        return super().forward(self.blur(input))


def reflect(x: Tensor, kernel_size: int, dim: int) -> Tensor:
    """Pad one axis by ⌊(k-1)/2⌋ before and ⌈(k-1)/2⌉ after, without asking for its size.

    Indices beyond the other end, on maps smaller than the padding, stop at the edge. Exporting
    could not follow a branch on the size, as `F.pad` would need one here.
    """
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    last = x.shape[dim] - 1
    outside = torch.arange(before + after, device=x.device)
    head = (before - outside[:before]).clamp(max=last)
    tail = (last - 1 - outside[:after]).clamp(min=0)
    return torch.cat([x.index_select(dim, head), x, x.index_select(dim, tail)], dim=dim)
