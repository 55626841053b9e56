"""Images of any size for a network that runs at one size only: window by window.

Hiera, MViTv2, CoAtNet, BEiT and others learn a value for every position of their training size. The
image is cut into windows of that size, each of which is a sample of the batch, and the features are
laid side by side again. So a position sees its own window only.
"""

from __future__ import annotations

from torch import Tensor


def cut(x: Tensor, side: int) -> Tensor:
    """Return the windows of an image: (N, C, a S, b S) -> (N a b, C, S, S), row by row."""
    parts = x.unflatten(2, (-1, side)).unflatten(4, (-1, side))  # (N, C, a, S, b, S)
    output: Tensor = parts.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return output


def join(feature: Tensor, image: Tensor, side: int) -> Tensor:
    """Return the windows' features as one map: (N a b, C, h, w) -> (N, C, a h, b w).

    Args:
        feature: of the windows that `cut` made.
        image: (N, _, a S, b S), from which they were cut.
        side: S.
    """
    batch, _, height, width = image.shape
    parts = feature.unflatten(0, (batch, height // side, width // side))  # (N, a, b, C, h, w)
    output: Tensor = parts.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return output
