"""Average pools in ceil mode, in a form that exports with a free size.

timm's ResNet-D family (`resnet10t`, `resnet50d` …) shrinks its shortcuts by a pool of 2 x 2 and
stride 2 in ceil mode, which averages only the pixels inside the map. torch.export cannot prove that
the last window starts inside the map, and rejects a free size. With one more row and column, copies
of the last ones, the plain pool gives the same means: a window at the border has each of its pixels
twice, and on an even side the copy is in no window.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class CeilAvgPool2d(nn.Module):
    """`AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)`: (H, W) -> (⌈H/2⌉, ⌈W/2⌉)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the means of 2 x 2 pixels, or fewer at the border."""
        return F.avg_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2)


def use_portable_pools(network: nn.Module) -> None:
    """Replace the ceil-mode pools in `network`; other pools are unchanged."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if _is_ceil_pool(child):
                setattr(parent, name, CeilAvgPool2d())


def _is_ceil_pool(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.AvgPool2d)
        and module.ceil_mode
        and not module.count_include_pad
        and module.kernel_size in (2, (2, 2))
        and module.stride in (2, (2, 2))
        and module.padding in (0, (0, 0))
        and module.divisor_override is None
    )
