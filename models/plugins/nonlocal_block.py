"""Non-local block: every position gathers from all positions.

Paper:   Wang et al., "Non-local Neural Networks", CVPR 2018, https://arxiv.org/abs/1711.07971
Idea:    y_i = 1/C(x) Σ_j f(x_i, x_j) g(x_j), z = W y + x, with g, θ, φ of width C / reduction and
             embedded_gaussian   softmax_j(θ_i · φ_j)
             gaussian            softmax_j(x_i · x_j)
             dot_product         θ_i · φ_j / M
             concatenation       ReLU(w · [θ_i, φ_j]) / M
         where M is the number of positions j. W ends in a norm whose scale starts at 0.
Differs: `scale=True` divides the embedded Gaussian's scores by the root of their width, as the
         authors' code and mmsegmentation do, the paper does not. `subsample` max-pools the
         positions j by 2: `projected` pools φ and g (paper, mmcv), `input` pools x before them
         (the authors' code); the two are not equal.
Cost:    dot_product is (θ φᵀ) g = θ (φᵀ g), linear in the positions; the concatenation is the
         product of [a_i, 1] and [1, b_j], so that no L x M x 2C tensor exists.
Licence: from the formulas; the authors' code is CC BY-NC 4.0 and none of it is here.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.attention import Attention
from maskzoo.models.network.layers import ConvNormAct, Norm, as_float32, start_at_zero

Pairwise = Literal["embedded_gaussian", "gaussian", "dot_product", "concatenation"]


class NonLocal(nn.Module):
    """Non-local block; the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        reduction: g, θ and φ are C / reduction wide.
        pairwise: the function f.
        scale: whether the embedded Gaussian's scores are divided by the root of their width.
        subsample: whether and where the positions j are pooled by 2.
        norm: normalisation after W; with `none` the convolution itself starts at 0.
        identity: whether the block starts as the identity.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 2,
        pairwise: Pairwise = "embedded_gaussian",
        scale: bool = True,
        subsample: Literal["none", "projected", "input"] = "none",
        norm: Norm = "batch",
        identity: bool = True,
    ) -> None:
        super().__init__()
        width = max(1, channels // reduction)
        self.pairwise = pairwise
        self.subsample = subsample
        self.g = nn.Conv2d(channels, width, 1)
        if pairwise != "gaussian":
            self.theta = nn.Conv2d(channels, width, 1)
            self.phi = nn.Conv2d(channels, width, 1)
        if pairwise == "concatenation":
            self.concat = nn.Conv2d(2 * width, 1, 1, bias=False)
        self.attention = Attention(
            scale=width**-0.5 if scale and pairwise == "embedded_gaussian" else 1.0,
            weighting="relu" if pairwise == "concatenation" else "softmax",
        )
        self.out = ConvNormAct(width, channels, 1, norm=norm, act=False)
        if identity:
            start_at_zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Return W y + x."""
        query, key, value = self._project(x)
        if self.pairwise == "dot_product":
            context = _dot_product(query, key, value)
        else:
            if self.pairwise == "concatenation":
                query, key = self._concatenation(query, key)
            context = self.attention(query, key, value)
        output: Tensor = self.out(context.unflatten(2, x.shape[-2:])) + x
        return output

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return θ (N, D, L), φ (N, D, M) and g (N, D, M)."""
        source = _halve(x) if self.subsample == "input" else x
        value = self.g(source)
        query, key = (
            (x, source) if self.pairwise == "gaussian" else (self.theta(x), self.phi(source))
        )
        if self.subsample == "projected":
            key, value = _halve(key), _halve(value)
        return query.flatten(2), key.flatten(2), value.flatten(2)

    def _concatenation(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors whose products are w · [θ_i, φ_j]: [a_i, 1] and [1, b_j]."""
        weight_query, weight_key = self.concat.weight[:, :, 0, 0].to(query.dtype).chunk(2, dim=1)
        a, b = weight_query @ query, weight_key @ key  # (N, 1, L), (N, 1, M)
        return torch.cat([a, torch.ones_like(a)], dim=1), torch.cat([torch.ones_like(b), b], dim=1)


def _dot_product(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return g φᵀ θ / M in fp32, since the sums over positions overflow fp16."""
    with torch.autocast(query.device.type, enabled=False):
        products = as_float32(value) @ as_float32(key).transpose(1, 2) / key.shape[2]  # (N, D, D)
        return (products @ as_float32(query)).to(value.dtype)


def _halve(x: Tensor) -> Tensor:
    """Max-pool by 2; a single row or column is kept."""
    height, width = x.shape[-2:]
    return F.max_pool2d(F.pad(x, (0, 1 // width, 0, 1 // height), value=-torch.inf), 2)
