"""DNLNet: a disentangled non-local block on the last feature.

Paper:   Yin et al., "Disentangled Non-Local Neural Networks", ECCV 2020,
         https://arxiv.org/abs/2006.06668
Idea:    the non-local weights split into a pairwise part, of queries and keys minus their means
         over the positions, and a unary part that is the same for every position:
         y_i = Σ_j (softmax_j((θ_i − θ̄)·(φ_j − φ̄) / (τ √D)) + softmax_j(m_j)) g_j, z = W y + x.
Head:    f5 -> conv 3x3 -> block -> conv 3x3, concatenated with f5 -> conv 3x3
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from maskzoo.models.architectures.context import ContextHead
from maskzoo.models.network.attention import Attention
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm, start_at_zero


class DisentangledNonLocal(nn.Module):
    """The block; the identity at its start. Shape: (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: C of the input; the output has as many.
        reduction: g, θ and φ are C / reduction wide.
        temperature: τ, divides the scores of the pairwise part.
        norm: normalisation after W.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 2,
        temperature: float = 0.05,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        width = max(1, channels // reduction)
        self.g = nn.Conv2d(channels, width, 1)
        self.theta = nn.Conv2d(channels, width, 1)
        self.phi = nn.Conv2d(channels, width, 1)
        self.mask = nn.Conv2d(channels, 1, 1)
        self.attention = Attention(scale=width**-0.5 / temperature)
        self.out = ConvNormAct(width, channels, 1, norm=norm, act=False)
        start_at_zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Return W y + x."""
        value = self.g(x).flatten(2)  # (N, D, L)
        query, key = self.theta(x).flatten(2), self.phi(x).flatten(2)
        query = query - query.mean(dim=2, keepdim=True)
        key = key - key.mean(dim=2, keepdim=True)
        unary = self.mask(x).flatten(2).softmax(dim=2).to(value.dtype)  # (N, 1, L)
        context = self.attention(query, key, value) + value @ unary.transpose(1, 2)
        output: Tensor = self.out(context.unflatten(2, x.shape[-2:])) + x
        return output


class DNLNet(ContextHead):
    """A disentangled non-local block between two convolutions.

    Args:
        channels: width of the block and of the output; None takes a quarter of f5's.
        reduction: g, θ and φ are channels / reduction wide.
        temperature: divides the scores of the pairwise part.
    """

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        reduction: int = 2,
        temperature: float = 0.05,
    ) -> None:
        mechanism = partial(
            DisentangledNonLocal,
            reduction=reduction,
            temperature=temperature,
            norm=setup.norm,
        )
        super().__init__(setup, channels, mechanism)
