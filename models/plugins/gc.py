"""Global context block (GC): one context for all positions, added to each.

Paper:   Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
         ICCV workshops 2019, https://arxiv.org/abs/1904.11492
Idea:    Non-local's map is almost the same at every position, so one context serves all:
         c = Σ_j softmax_j(w · x_j) x_j, t = W₂ ReLU(LayerNorm(W₁ c)), z = x + t.
Differs: `pooling="average"` takes the mean for c, `fusion` may scale by σ(t) instead or both, as
         in the paper's ablation and the authors' code.
Cost:    linear in the positions.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn


class GlobalContext(nn.Module):
    """Adds one context vector to every position; with `fusion="add"` the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        ratio: width of the transform, as a part of C; it is never below 2.
        pooling: `attention` weighs the positions, `average` takes their mean.
        fusion: `add` the transformed context, `scale` by its sigmoid, or `both`.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 0.25,
        pooling: Literal["attention", "average"] = "attention",
        fusion: Literal["add", "scale", "both"] = "add",
    ) -> None:
        super().__init__()
        width = max(2, int(channels * ratio))  # layer norm makes a single number 0
        self.mask = nn.Conv2d(channels, 1, 1) if pooling == "attention" else None
        self.add = _transform(channels, width) if fusion != "scale" else None
        self.scale = _transform(channels, width) if fusion != "add" else None

    def forward(self, x: Tensor) -> Tensor:
        """Return x · σ(scale(c)) + add(c)."""
        context = self._pool(x)
        output = x
        if self.scale is not None:
            output = output * self.scale(context).sigmoid()
        if self.add is not None:
            output = output + self.add(context)
        return output

    def _pool(self, x: Tensor) -> Tensor:
        """Return the context c (N, C, 1, 1)."""
        if self.mask is None:
            return x.mean(dim=(2, 3), keepdim=True)
        weights = self.mask(x).flatten(2).softmax(dim=2)  # (N, 1, L)
        output: Tensor = (x.flatten(2) @ weights.to(x.dtype).transpose(1, 2)).unsqueeze(3)
        return output


def _transform(channels: int, width: int) -> nn.Sequential:
    last = nn.Conv2d(width, channels, 1)
    nn.init.zeros_(last.weight)
    bias = last.bias
    assert bias is not None, "the last convolution has a bias"
    nn.init.zeros_(bias)
    return nn.Sequential(
        nn.Conv2d(channels, width, 1), nn.LayerNorm([width, 1, 1]), nn.ReLU(inplace=True), last
    )
