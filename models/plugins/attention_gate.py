"""Attention gate: the deeper feature gates the positions of a skip.

Paper:   Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018,
         https://arxiv.org/abs/1804.03999
Idea:    the deeper feature g tells which positions of the skip x matter:
         α = σ(ψ ReLU(W_x x + W_g g)), one value a position, and W (α · x) goes on.
Variants: `paper` (and the authors' code): W_x halves the skip (kernel and stride 2, no bias), g is
         resized to it, α is resized back, W is a 1 x 1 convolution with norm.
         `simple` (a common two-dimensional port): g is resized to the skip first, every
         convolution has a norm, there is no W.
Shape:   skip (N, C, H, W), deeper (N, C_g, h, w) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, resize


class AttentionGate(nn.Module):
    """Weigh the positions of a skip by what the deeper feature says.

    Args:
        channels: C of the skip; the output has as many.
        deeper_channels: C_g of the deeper feature.
        width: channels in which the two are compared; None takes C / 2.
        variant: see the module's text.
        norm: normalisation.
        align_corners: convention of the resizes.
    """

    takes_deeper = True

    def __init__(
        self,
        channels: int,
        deeper_channels: int,
        *,
        width: int | None = None,
        variant: Literal["paper", "simple"] = "paper",
        norm: Norm = "batch",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        inner = width or max(1, channels // 2)
        self.variant = variant
        self.align_corners = align_corners
        if variant == "paper":
            self.skip: nn.Module = nn.Conv2d(channels, inner, 2, stride=2, bias=False)
            self.deeper: nn.Module = nn.Conv2d(deeper_channels, inner, 1)
            self.score: nn.Module = nn.Conv2d(inner, 1, 1)
            self.out: nn.Module = ConvNormAct(channels, channels, 1, norm=norm, act=False)
        else:
            self.skip = ConvNormAct(channels, inner, 1, norm=norm, act=False)
            self.deeper = ConvNormAct(deeper_channels, inner, 1, norm=norm, act=False)
            self.score = ConvNormAct(inner, 1, 1, norm=norm, act=False)
            self.out = nn.Identity()

    def forward(self, skip: Tensor, deeper: Tensor) -> Tensor:
        """Return W (α · skip)."""
        output: Tensor = self.out(skip * self.weights(skip, deeper))
        return output

    def weights(self, skip: Tensor, deeper: Tensor) -> Tensor:
        """Return α (N, 1, H, W), within 0 … 1."""
        if self.variant == "simple":
            signal = self.deeper(resize(deeper, skip.shape[-2:], self.align_corners))
            output: Tensor = self.score((self.skip(skip) + signal).relu()).sigmoid()
            return output
        height, width = skip.shape[-2:]
        # A side of one pixel cannot be halved: it is doubled first (1 // side is 0 otherwise).
        compared = self.skip(F.pad(skip, (0, 1 // width, 0, 1 // height)))
        signal = resize(self.deeper(deeper), compared.shape[-2:], self.align_corners)
        weights = self.score((compared + signal).relu()).sigmoid()
        return resize(weights, skip.shape[-2:], self.align_corners)
