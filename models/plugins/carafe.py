"""CARAFE: upsampling by kernels that the map itself predicts for every new position.

Paper:   Wang et al., "CARAFE: Content-Aware ReAssembly of FEatures", ICCV 2019,
         https://arxiv.org/abs/1905.02188
Idea:    a 1x1 convolution C -> C_m and one of side k_e predict σ² k² weights for each position,
         which a pixel shuffle spreads over the σ x σ new ones; a softmax over the k² makes them a
         kernel. A new position is the sum, so weighted, of the k x k old positions around its own
         (equations 1 to 5).
Differs: the map is enlarged by whole factors, then fitted to the very size (bilinear).
Shape:   (N, C, h, w) -> (N, C, H, W)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32, resize


class Carafe(nn.Module):
    """Upsampling by predicted kernels.

    Args:
        channels: C.
        factor: σ, by how much the strides of both maps differ.
        kernel_size: k, odd; a new position is a mean of k x k old ones.
        predictor_size: k_e, odd, side of the convolution that predicts the kernels.
        width: C_m, at most C.
        align_corners: convention of the last resize.
    """

    def __init__(
        self,
        channels: int,
        factor: int = 2,
        *,
        kernel_size: int = 5,
        predictor_size: int = 3,
        width: int = 64,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.factor = factor
        self.kernel_size = kernel_size
        self.align_corners = align_corners
        self.compress = nn.Conv2d(channels, min(channels, width), 1)
        self.predict = nn.Conv2d(
            min(channels, width),
            (factor * kernel_size) ** 2,
            predictor_size,
            padding=predictor_size // 2,
        )
        nn.init.xavier_uniform_(self.compress.weight)
        nn.init.normal_(self.predict.weight, std=0.001)
        for conv in (self.compress, self.predict):
            assert conv.bias is not None, "both convolutions have a bias"
            nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """Return x at the size (H, W)."""
        scores = self.predict(self.compress(x))  # (N, k² σ², h, w)
        kernels = as_float32(scores.unflatten(1, (self.kernel_size**2, -1))).softmax(dim=1)
        patches = F.unfold(x, self.kernel_size, padding=self.kernel_size // 2)
        patches = patches.unflatten(1, (x.shape[1], -1)).unflatten(3, x.shape[-2:])
        # (N, C, k², h, w) and (N, k², σ², h, w) -> (N, C, σ², h, w)
        grown = torch.einsum("nckhw,nkshw->ncshw", patches, kernels.to(patches.dtype))
        return resize(F.pixel_shuffle(grown.flatten(1, 2), self.factor), size, self.align_corners)
