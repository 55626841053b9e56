"""Pyramid: features of one or a few strides, brought to the strides that decoders read.

Sources: Bao et al., "BEiT: BERT Pre-Training of Image Transformers", ICLR 2022, section 3.2, and
         Li et al., "Benchmarking Detection Transfer Learning with Vision Transformers", 2021,
         https://arxiv.org/abs/2111.11429, section 2: four depths of a plain transformer of stride
         16 become strides 4, 8, 16, 32 by two transposed convolutions with a norm and a GELU
         between them, by one, by none, and by a max-pool.
Idea:    the same for any stride r: a level of stride s comes from the network's own feature of that
         stride, or from the nearest one, by log₂(r / s) transposed convolutions of stride 2, or by
         a max-pool. A stride that is no power of two (14) counts as the nearest one, and its map is
         fitted to the very size (bilinear).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Pyramid(nn.Module):
    """Levels f2 … f5 from the features of a network.

    Shape: [(N, C_i, ⌈H/r_i⌉, ⌈W/r_i⌉), …] -> [(N, C, ⌈H/s⌉, ⌈W/s⌉), …] for the four strides s.

    Args:
        channels: C_i of the features.
        strides: r_i of the features, shallow ones first; equal ones are depths of one stride.
        wanted: the strides of f2 … f5.

    Attributes:
        sources: the index of the feature that each level comes from.
        out_channels: of each level.
        is_exact: whether the levels have their sizes by themselves; the owner sets it once it
            knows, and otherwise they are fitted.
    """

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], wanted: Sequence[int]
    ) -> None:
        super().__init__()
        powers = [round(math.log2(stride)) for stride in strides]
        self.sources = tuple(
            _source(powers, round(math.log2(stride)), level / (len(wanted) - 1))
            for level, stride in enumerate(wanted)
        )
        self.out_channels = tuple(channels[source] for source in self.sources)
        self.wanted = tuple(wanted)
        self.is_exact = True
        self.levels = nn.ModuleList(
            _rescale(channels[source], powers[source] - round(math.log2(stride)))
            for source, stride in zip(self.sources, wanted, strict=True)
        )

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """Return f2 … f5 of an image of `size` (height, width)."""
        levels = [
            level(features[source]) for level, source in zip(self.levels, self.sources, strict=True)
        ]
        if self.is_exact:
            return levels
        return [
            F.interpolate(
                level,
                size=((size[0] + stride - 1) // stride, (size[1] + stride - 1) // stride),
                mode="bilinear",
            )
            for level, stride in zip(levels, self.wanted, strict=True)
        ]


def _source(powers: Sequence[int], wanted: int, depth: float) -> int:
    """Return the index of the feature for a level.

    Args:
        powers: log₂ of the features' strides.
        wanted: log₂ of the level's stride.
        depth: of the level, 0 for the shallowest to 1 for the deepest.
    """
    nearest = min(powers, key=lambda power: (abs(power - wanted), -power))
    alike = [index for index, power in enumerate(powers) if power == nearest]
    return alike[round(depth * (len(alike) - 1))]


def _rescale(channels: int, doublings: int) -> nn.Module:
    """Return the layers that enlarge a map 2^doublings times; a negative number shrinks it."""
    if doublings < 0:
        return nn.MaxPool2d(2**-doublings, stride=2**-doublings, ceil_mode=True)
    layers: list[nn.Module] = []
    for step in range(doublings):
        layers.append(nn.ConvTranspose2d(channels, channels, 2, stride=2))
        if step < doublings - 1:
            layers += [nn.BatchNorm2d(channels), nn.GELU()]
    return nn.Sequential(*layers)
