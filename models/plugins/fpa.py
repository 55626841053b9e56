"""Feature pyramid attention (FPA): pixel-level attention from a small pyramid.

Paper:   Li et al., "Pyramid Attention Network for Semantic Segmentation", BMVC 2018, section 3.1,
         https://arxiv.org/abs/1805.10180
Idea:    a small pyramid of 7 x 7, 5 x 5 and 3 x 3 convolutions on maps of half, a quarter and an
         eighth of the size, merged from the smallest up, gives pixel-level attention:
         y = master(x) ⊙ pyramid(x) + up(global(x)), master a 1 x 1 convolution, global the same
         on the mean over the map.
Differs: the paper does not say how wide the pyramid is; here it is C / 16 (a 7 x 7 convolution on
         2048 channels would have 205 M weights), and a 1 x 1 convolution widens it where needed.
         Maps shrink by strided convolutions and grow to the size they had, so any size works
         (a pyramid of pools fails below 8 x 8).
Licence: from the paper; the common port is GPL-3.0 and none of it is here.
Shape:   (N, C, H, W) -> (N, out_channels, H, W)
"""

from __future__ import annotations

from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, resize


class AttentionPyramid(nn.Module):
    """Three levels down and up again: (N, C, H, W) -> (N, width, H, W).

    Args:
        channels: C of the input.
        width: channels of every level.
        norm: normalisation.
        align_corners: convention of the resizes.
    """

    def __init__(
        self, channels: int, width: int, *, norm: Norm = "batch", align_corners: bool = False
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.down = nn.ModuleList()
        self.same = nn.ModuleList()
        for size in (7, 5, 3):
            self.down.append(ConvNormAct(channels, width, size, stride=2, norm=norm))
            self.same.append(ConvNormAct(width, width, size, norm=norm, act=False))
            channels = width

    def forward(self, x: Tensor) -> Tensor:
        """Return the attention of every pixel and channel."""
        levels = [x]
        for down in self.down:
            levels.append(down(levels[-1]))
        merged = self.same[2](levels[3]).relu()
        for index in (1, 0):
            same = self.same[index](levels[index + 1])
            merged = (resize(merged, same.shape[-2:], self.align_corners) + same).relu()
        return resize(merged, x.shape[-2:], self.align_corners)


class FeaturePyramidAttention(nn.Module):
    """Pixel-level attention from a pyramid, with the global mean added.

    Args:
        channels: C of the input.
        out_channels: of the output; None takes C.
        width: of the pyramid; None takes C / 16.
        norm: normalisation.
        align_corners: convention of the resizes.
    """

    def __init__(
        self,
        channels: int,
        *,
        out_channels: int | None = None,
        width: int | None = None,
        norm: Norm = "batch",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        out = out_channels or channels
        inner = width or max(1, channels // 16)
        self.master = ConvNormAct(channels, out, 1, norm=norm, act=False)
        self.pyramid = nn.Sequential(
            AttentionPyramid(channels, inner, norm=norm, align_corners=align_corners)
        )
        if inner != out:
            self.pyramid.append(ConvNormAct(inner, out, 1, norm=norm))
        self.mean = ConvNormAct(channels, out, 1, norm=norm, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return master ⊙ pyramid + global."""
        mean = self.mean(x.mean(dim=(2, 3), keepdim=True))  # (N, out, 1, 1)
        output: Tensor = self.master(x) * self.pyramid(x) + mean
        return output
