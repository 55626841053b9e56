"""Bottleneck Attention Module (BAM): one gate from the channels' means and the positions.

Paper:   Park et al., "BAM: Bottleneck Attention Module", BMVC 2018,
         https://arxiv.org/abs/1807.06514
Idea:    y = x + x · M, M = σ(M_c + M_s): M_c (N, C, 1, 1) from the channels' means through an MLP
         C -> C/r -> C, M_s (N, 1, H, W) from 1x1, two 3x3 of dilation d, and 1x1 convolutions on
         C/r channels; a norm ends both branches.
Differs: the authors' code multiplies, σ(M_c · M_s), has norm and ReLU after every hidden layer and
         no norm at the end; the paper's own ablation prefers the sum. Both are here, by `variant`.
         The code averages with a square window, wrong on other shapes; here the mean is over all
         positions.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from maskzoo.models.network.layers import Norm, create_norm


class BottleneckAttention(nn.Module):
    """Channel and spatial branch side by side, one gate in (0, 1) for each value.

    Args:
        channels: C of the input; the output has as many.
        reduction: r, how many times narrower both branches are.
        dilation: d of the spatial branch.
        variant: the paper's formula or the authors' code, see above.
        norm: normalisation of both branches.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        dilation: int = 4,
        variant: Literal["paper", "official"] = "paper",
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.variant = variant
        width = max(1, channels // reduction)
        channel: list[nn.Module] = [nn.Conv2d(channels, width, 1), nn.Conv2d(width, channels, 1)]
        spatial: list[nn.Module] = [
            nn.Conv2d(channels, width, 1),
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
            nn.Conv2d(width, 1, 1),
        ]
        if variant == "paper":
            self.channel = nn.Sequential(*channel, create_norm(norm, channels))
            self.spatial = nn.Sequential(*spatial, create_norm(norm, 1))
        else:
            self.channel = nn.Sequential(*_with_hidden_norms(channel, width, norm))
            self.spatial = nn.Sequential(*_with_hidden_norms(spatial, width, norm))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + x · M."""
        channel = self.channel(x.mean(dim=(2, 3), keepdim=True))  # (N, C, 1, 1)
        spatial = self.spatial(x)  # (N, 1, H, W)
        energy = channel + spatial if self.variant == "paper" else channel * spatial
        output: Tensor = x + x * energy.sigmoid()
        return output


def _with_hidden_norms(convs: list[nn.Module], width: int, norm: Norm) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for conv in convs[:-1]:
        layers += [conv, create_norm(norm, width), nn.ReLU(inplace=True)]
    return [*layers, convs[-1]]
