"""ANN: asymmetric non-local attention, to a few dozen pooled positions.

Paper:   Zhu et al., "Asymmetric Non-local Neural Networks for Semantic Segmentation", ICCV 2019,
         https://arxiv.org/abs/1908.07678
Idea:    keys and values are the means over grids of 1, 3, 6 and 8 regions, 110 positions in all,
         so that the weights are L x 110 and not L x L.
Head:    y = conv 1x1 (cat[attention(f5 to f4), f5]), of f5's width and without ReLU; y = conv 3x3
         (y); output = conv 1x1 (cat[attention(y to itself), y]). In the second attention queries
         and keys share a projection. An auxiliary FCN head on f4 at 0.4 in training.
Shape:   f4, f5 -> (N, channels, h, w), the size of f5
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.attention import Attention
from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm
from maskzoo.models.plugins.ppm import pool_to_grid

BINS = (1, 3, 6, 8)


class PooledAttention(nn.Module):
    """Attention of a map to the pooled positions of another: (N, C, H, W) -> (N, C, H, W).

    The scores are divided by the root of the queries' width.

    Args:
        channels: C of the queries' map and of the output.
        source_channels: of the map that is pooled.
        width: of queries, keys and values.
        bins: regions per side of each grid.
        shared: whether the queries' projection is the keys'; both maps are then one.
        norm: normalisation of queries and keys.
    """

    def __init__(
        self,
        channels: int,
        source_channels: int,
        width: int,
        *,
        bins: tuple[int, ...] = BINS,
        shared: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.bins = tuple(bins)
        self.key = ConvNormAct(source_channels, width, 1, norm=norm)
        self.query = None if shared else ConvNormAct(channels, width, 1, norm=norm)
        self.value = nn.Conv2d(source_channels, width, 1)
        self.attention = Attention(scale=width**-0.5)
        self.out = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Return what each position of x gathers from the regions of the source."""
        key = self.key(source)
        query = key if self.query is None else self.query(x)
        context = self.attention(
            query.flatten(2), self._pooled(key), self._pooled(self.value(source))
        )
        output: Tensor = self.out(context.unflatten(2, x.shape[-2:]))
        return output

    def _pooled(self, x: Tensor) -> Tensor:
        """Return the means over all grids (N, C, M)."""
        return torch.cat([pool_to_grid(x, bins).flatten(2) for bins in self.bins], dim=2)


class ANN(Decoder):
    """Asymmetric non-local attention between f4 and f5, then within the result.

    Args:
        channels: width of the output; None takes a quarter of f5's channels.
        attention_channels: width of queries, keys and values; None takes half of `channels`.
        bins: regions per side of each grid that keys and values are pooled to.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        attention_channels: int | None = None,
        bins: tuple[int, ...] = BINS,
    ) -> None:
        super().__init__(setup)
        low, high = setup.encoder_channels[4:6]
        width = channels or max(1, high // 4)
        inner = attention_channels or max(1, width // 2)
        self.out_channels = width
        self.across = PooledAttention(high, low, inner, bins=bins, norm=self.norm)
        self.across_fuse = ConvNormAct(2 * high, high, 1, norm=self.norm, act=False)
        self.drop = nn.Dropout2d(self.dropout)
        self.bottleneck = ConvNormAct(high, width, 3, norm=self.norm)
        self.within = PooledAttention(width, width, inner, bins=bins, shared=True, norm=self.norm)
        self.within_fuse = ConvNormAct(2 * width, width, 1, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map joined with what it attends to."""
        x = features[5]
        x = self.across_fuse(torch.cat([self.across(x, features[4]), x], dim=1))
        x = self.bottleneck(self.drop(x))
        output: Tensor = self.within_fuse(torch.cat([self.within(x, x), x], dim=1))
        return output
