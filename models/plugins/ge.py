"""Gather-Excite (GE): channels gated by their context, global or of a chosen extent.

Paper:   Hu et al., "Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks",
         NeurIPS 2018, https://arxiv.org/abs/1810.12348
Idea:    gather: means over the map, or over windows of 2e - 1 at stride e (GE-θ⁻), or depth-wise
         3x3 convolutions of stride 2 with norms (GE-θ); excite: y = x · sigmoid(enlarged gather),
         by the nearest value. With `hidden`, two 1x1 convolutions lie between them (GE-θ⁺).
Differs: a learnt gather has a finite extent: the paper's global one is a depth-wise convolution as
         large as the map, which ties the network to one size of image.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.layers import Norm, create_norm


class GatherExcite(nn.Module):
    """Channel gate from the context of each position.

    Args:
        channels: C of the input; the output has as many.
        extent: e, the side of the context in positions: 2, 4, 8, … or 0 for the whole map.
        learned: whether depth-wise convolutions gather, instead of means.
        hidden: whether two 1x1 convolutions follow, C -> C / reduction -> C.
        reduction: r, how many times narrower the hidden layer is.
        norm: normalisation of the depth-wise convolutions.

    Raises:
        SpecError: e is not a power of two, or the gather is learnt and global.
    """

    def __init__(
        self,
        channels: int,
        *,
        extent: int = 0,
        learned: bool = False,
        hidden: bool = True,
        reduction: int = 16,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        if extent < 0 or extent == 1 or extent & (extent - 1):
            raise SpecError("plug-in 'ge'", [f"extent={extent} must be 0, 2, 4, 8, …"])
        if learned and not extent:
            raise SpecError("plug-in 'ge'", ["learned=true needs an extent of 2, 4, 8, …"])
        self.extent = extent
        self.gather = _strided_convolutions(channels, extent, norm) if learned else None
        width = max(1, channels // reduction)
        self.mlp = (
            nn.Sequential(
                nn.Conv2d(channels, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, channels, 1)
            )
            if hidden
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x times its gate in (0, 1)."""
        context = self.mlp(self._context(x))
        if self.extent:
            context = F.interpolate(context, size=x.shape[-2:], mode="nearest")
        output: Tensor = x * context.sigmoid()
        return output

    def _context(self, x: Tensor) -> Tensor:
        """Return (N, C, ⌈H/e⌉, ⌈W/e⌉), or (N, C, 1, 1) for the whole map."""
        if self.gather is not None:
            output: Tensor = self.gather(x)
            return output
        if not self.extent:
            return x.mean(dim=(2, 3), keepdim=True)
        window = 2 * self.extent - 1
        return F.avg_pool2d(
            x, window, stride=self.extent, padding=window // 2, count_include_pad=False
        )


def _strided_convolutions(channels: int, extent: int, norm: Norm) -> nn.Sequential:
    """Return log₂ e depth-wise convolutions of stride 2, with ReLUs between them."""
    layers: list[nn.Module] = []
    while extent > 1:
        extent //= 2
        layers += [
            nn.Conv2d(
                channels, channels, 3, stride=2, padding=1, groups=channels, bias=norm == "none"
            ),
            create_norm(norm, channels),
        ]
        if extent > 1:
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
