"""Large kernel attention (LKA): positions gated by a wide, cheap depth-wise context.

Paper:   Guo et al., "Visual Attention Network", Computational Visual Media 2023,
         https://arxiv.org/abs/2202.09741
Idea:    A = conv 1x1 (depth-wise ⌈K/d⌉ x ⌈K/d⌉ with dilation d (depth-wise (2d-1) x (2d-1) (x))),
         y = A · x (equations 3 and 4). K = 21 and d = 3 as in the paper.
Differs: the last convolution starts with weights of 0 and a bias of 1, so that the attention is 1
         and the plug-in starts as the identity.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from torch import Tensor, nn


class LargeKernelAttention(nn.Module):
    """Product with a decomposed large convolution; the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        kernel_size: K, the side of the kernel that is decomposed.
        dilation: d, of the second convolution, whose side is ⌈K/d⌉, or one more if that is even.
    """

    def __init__(self, channels: int, *, kernel_size: int = 21, dilation: int = 3) -> None:
        super().__init__()
        near, far = 2 * dilation - 1, -(-kernel_size // dilation) | 1
        self.near = nn.Conv2d(channels, channels, near, padding=near // 2, groups=channels)
        self.far = nn.Conv2d(
            channels,
            channels,
            far,
            padding=dilation * (far // 2),
            dilation=dilation,
            groups=channels,
        )
        self.mix = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.mix.weight)
        assert self.mix.bias is not None, "the convolution has a bias"
        nn.init.ones_(self.mix.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its attention."""
        output: Tensor = x * self.mix(self.far(self.near(x)))
        return output
