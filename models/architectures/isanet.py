"""ISANet: interlaced sparse self-attention.

Paper:   Huang et al., "Interlaced Sparse Self-Attention for Semantic Segmentation", 2019,
         https://arxiv.org/abs/1907.12273
Idea:    dense attention is split in two sparse ones: first among the positions that are P apart
         (far), then among the neighbours in windows of P x P (near). Together they connect every
         pair, at a fraction of the cost.
Head:    y = conv 3x3(f5); output = conv 1x1(cat[near(far(y)), y]). Maps are padded to multiples
         of P with zeros, half on either side.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.attention import ProjectedAttention
from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm


class SelfAttention(nn.Module):
    """Attention of a map to itself: (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: C.
        attention_channels: width of queries and keys.
        norm: normalisation.
    """

    def __init__(self, channels: int, attention_channels: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.attention = ProjectedAttention(
            channels,
            channels,
            attention_channels,
            value=nn.Conv2d(channels, channels, 1),
            norm=norm,
        )
        self.out = ConvNormAct(channels, channels, 1, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attended map."""
        output: Tensor = self.out(self.attention(x, x))
        return output


class ISANet(Decoder):
    """Far attention, then near attention, on the last feature.

    Args:
        channels: width of the attentions and of the output; None takes a quarter of f5's.
        attention_channels: width of queries and keys; None takes half of `channels`.
        window: P, the side of the windows.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        attention_channels: int | None = None,
        window: int = 8,
    ) -> None:
        super().__init__(setup)
        width = channels or max(1, setup.encoder_channels[5] // 4)
        inner = attention_channels or max(1, width // 2)
        self.window = window
        self.out_channels = width
        self.before = ConvNormAct(setup.encoder_channels[5], width, 3, norm=self.norm)
        self.far = SelfAttention(width, inner, norm=self.norm)
        self.near = SelfAttention(width, inner, norm=self.norm)
        self.fuse = ConvNormAct(2 * width, width, 1, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map joined with its attended self."""
        x = self.before(features[5])
        output: Tensor = self.fuse(torch.cat([self._interlace(x), x], dim=1))
        return output

    def _interlace(self, x: Tensor) -> Tensor:
        """Apply far, then near attention to a map of any size."""
        return self._join(self._attend(self._windows(x)), *x.shape[-2:])

    def _windows(self, x: Tensor) -> Tensor:
        """Return the windows of the padded map: (N, C, H, W) -> (N, C, rows, P, columns, P).

        They are gathered by index and not cut by a reshape: an exporter that leaves the size free
        cannot prove that the padded sides are multiples of P, and would tie the graph to one size.
        """
        side = self.window
        padded = F.pad(x, (side, side, side, side))
        down, right = (self._positions(length, x.device) for length in x.shape[-2:])
        return padded[:, :, down][..., right]

    def _positions(self, length: int, device: torch.device) -> Tensor:
        """Return the positions, (windows, P), of the windows in a side padded by P on both ends."""
        count = (length + self.window - 1) // self.window
        starts = torch.arange(count, device=device)[:, None] * self.window
        within = torch.arange(self.window, device=device) + self.window - self._before(length)
        return starts + within

    def _before(self, length: int) -> int:
        """Return how much of the padding to a multiple of P lies before a side."""
        return (-length) % self.window // 2

    def _attend(self, cells: Tensor) -> Tensor:
        """Apply far, then near attention to windows; the shape stays."""
        batch, channels, rows, side, columns, _ = cells.shape
        far = cells.permute(0, 3, 5, 1, 2, 4)  # (N, P, P, C, rows, columns)
        far = self.far(far.reshape(batch * side * side, channels, rows, columns))
        cells = far.reshape(batch, side, side, channels, rows, columns)
        near = cells.permute(0, 4, 5, 3, 1, 2)  # (N, rows, columns, C, P, P)
        near = self.near(near.reshape(batch * rows * columns, channels, side, side))
        cells = near.reshape(batch, rows, columns, channels, side, side)
        return cells.permute(0, 3, 1, 4, 2, 5)

    def _join(self, cells: Tensor, height: int, width: int) -> Tensor:
        """Return the map of height x width that windows cover: the inverse of `_windows`."""
        batch, channels, rows, side, columns, _ = cells.shape
        x = cells.reshape(batch, channels, rows * side, columns * side)
        down = torch.arange(height, device=x.device) + self._before(height)
        right = torch.arange(width, device=x.device) + self._before(width)
        return x[:, :, down][..., right]
