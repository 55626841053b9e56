"""Channel attention module (CAM): every channel gathers from the channels like it.

Paper:   Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019, section 3.3,
         https://arxiv.org/abs/1809.02983
Idea:    every channel gathers the maps of all channels, weighted by their Gram matrix
         E = X Xᵀ; y = β · softmax(…) X + x, β starts at 0. No projections.
Differs: the official code takes softmax_j(max_j E − E), so that unlike channels get the weight;
         "adopted for improving convergence, not mentioned in the paper" (issues 45 and 48).
         Both are here: `energy="official"` (default) and `energy="paper"`, softmax_j(E).
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32


class ChannelAttention(nn.Module):
    """Attention over the C channels; the identity at its start.

    The energy sums H·W products and overflows fp16, so it is computed in fp32 under autocast.

    Args:
        channels: C; the mechanism has no weights that depend on it.
        energy: the sign of the energy, see above.
    """

    def __init__(self, channels: int, *, energy: Literal["official", "paper"] = "official") -> None:
        super().__init__()
        self.channels = channels
        self.energy = energy
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return β · attention(x) + x."""
        maps = x.flatten(2)  # (N, C, L)
        with torch.autocast(x.device.type, enabled=False):
            maps = as_float32(maps)
            energy = maps @ maps.transpose(1, 2)  # (N, C, C)
            if self.energy == "official":
                energy = energy.amax(dim=2, keepdim=True) - energy
            context = (energy.softmax(dim=2) @ maps).to(x.dtype)
        output: Tensor = self.gamma * context.unflatten(2, x.shape[-2:]) + x
        return output
