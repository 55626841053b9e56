"""Cross-entropy at points of the image (PointRend).

Paper:   Kirillov et al., "PointRend: Image Segmentation as Rendering", CVPR 2020, section 3.3,
         https://arxiv.org/abs/1912.08193
Shapes:  logits (N, K, P) at places (N, P, 2), target (N, H, W) of class ids or `ignore_index` ->
         scalar.
A point outside the image, where a warp may bring it, does not count.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.models.network.neck import PointLogits
from maskzoo.training.losses.cross_entropy import cross_entropy


def point_loss(
    points: PointLogits,
    target: Tensor,
    *,
    ignore_index: int,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return the mean cross-entropy of the points whose pixel counts, 0 if there are none."""
    truth = truth_at(target, points.places, ignore_index=ignore_index)
    return cross_entropy(
        points.logits[..., None],
        truth[..., None],
        ignore_index=ignore_index,
        class_weights=class_weights,
    )


def truth_at(target: Tensor, places: Tensor, *, ignore_index: int) -> Tensor:
    """Return the ids (N, P) of the pixels that hold the places."""
    height, width = target.shape[-2:]
    size = places.new_tensor([width, height])
    pixels = ((places + 1) / 2 * size).floor().long()
    inside = ((places >= -1) & (places < 1)).all(dim=2)
    columns, rows = pixels[..., 0].clamp(0, width - 1), pixels[..., 1].clamp(0, height - 1)
    found = target.flatten(1).gather(1, rows * width + columns)
    return torch.where(inside, found, ignore_index)
