"""HRNet's exchange between its branches, bilinear as in mmsegmentation and the authors' code.

Paper:   Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", 2019,
         https://arxiv.org/abs/1908.07919
Differs: timm's HRNet repeats the nearest value (its image classification weights were trained so)
         and takes only images whose sides are multiples of 32. Segmentation networks interpolate
         bilinearly by a factor and then to the size of the finer map, for images of any size.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from timm.models.hrnet import HighResolutionModule
from torch import Tensor, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.layers import resize

OPTION = "exchange"
"""Key of `ModelSpec.encoder_options` that is this module's and not timm's."""


class BilinearModule(HighResolutionModule):
    """timm's module with bilinear exchange; same parameters."""

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Return the maps of all branches after the exchange."""
        if self.num_branches == 1:
            return [self.branches[0](x[0])]
        maps = [branch(level) for branch, level in zip(self.branches, x, strict=True)]
        exchanged = []
        for target, layers in enumerate(self.fuse_layers):
            total = maps[target]
            for source, layer in enumerate(layers):
                if source > target:
                    moved = _enlarge(layer[:2](maps[source]), 2 ** (source - target))
                    total = total + resize(moved, maps[target].shape[-2:])
                elif source < target:
                    total = total + layer(maps[source])
            exchanged.append(self.fuse_act(total))
        return exchanged


def take_exchange(options: dict[str, Any]) -> bool:
    """Take the `OPTION` out of an encoder's options; whether it asks for bilinear exchange.

    Raises:
        SpecError: it is neither ``bilinear`` nor ``nearest``.
    """
    value = options.pop(OPTION, "nearest")
    if value not in ("bilinear", "nearest"):
        raise SpecError("encoder_options", [f"exchange is bilinear or nearest, given {value!r}"])
    return bool(value == "bilinear")


def exchange_bilinearly(body: nn.Module) -> None:
    """Make the exchange of a timm HRNet bilinear, in place.

    Raises:
        SpecError: the network is not an HRNet.
    """
    modules = [part for part in body.modules() if type(part) is HighResolutionModule]
    if not modules:
        raise SpecError("encoder_options", ["exchange is an option of timm's HRNets only"])
    for module in modules:
        module.__class__ = BilinearModule


def _enlarge(x: Tensor, factor: int) -> Tensor:
    height, width = x.shape[-2:]
    return F.interpolate(x, size=(height * factor, width * factor), mode="bilinear")
