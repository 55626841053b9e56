"""Edges: a line along the borders of the classes, learnt beside them (PIDNet, STDC).

Papers:  Xu et al., "PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers",
         CVPR 2023, https://arxiv.org/abs/2206.02066, and
         Fan et al., "Rethinking BiSeNet For Real-time Semantic Segmentation", CVPR 2021, section
         3.2, https://arxiv.org/abs/2104.13188
Shapes:  logits (N, 1, H, W) of edges, target (N, H, W) of class ids or `ignore_index` -> scalar.
Differs: an edge is where a window of the label map holds two classes. The authors take Canny's
         edges of the ids and the Laplacian of the ids, which depend on how the classes are
         numbered. Pixels that are ignored are no class and do not count.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from maskzoo.models.network.layers import as_float32

_EDGE_SIDE = 5  # px of the window; the line is four pixels wide
_DETAIL_SHARES = ((1, 0.6), (2, 0.3), (4, 0.1))  # stride -> weight in the sum of details
_DETAIL_THRESHOLD = 0.1
_CERTAIN = 0.8  # probability of an edge from which the logits' own loss counts twice


def edge_loss(logits: Tensor, target: Tensor, *, ignore_index: int) -> Tensor:
    """Return PIDNet's: binary cross-entropy in which edges weigh as much as all the rest."""
    logits = as_float32(logits)[:, 0]
    counted = target != ignore_index
    edges = find_edges(target, side=_EDGE_SIDE, ignore_index=ignore_index) & counted
    number = counted.sum().clamp(min=1)
    of_edges = edges.sum() / number
    weights = torch.where(edges, 1 - of_edges, of_edges) * counted
    values = F.binary_cross_entropy_with_logits(logits, edges.to(logits), reduction="none")
    return (values * weights).sum() / number


def detail_loss(logits: Tensor, target: Tensor, *, ignore_index: int) -> Tensor:
    """Return STDC's: binary cross-entropy and Dice of edges at strides 1, 2 and 4."""
    logits = as_float32(logits)[:, 0]
    counted = (target != ignore_index).to(logits)
    details = find_details(target, ignore_index=ignore_index).to(logits) * counted
    values = F.binary_cross_entropy_with_logits(logits, details, reduction="none")
    found = logits.sigmoid() * counted
    overlap = 2 * (found * details).flatten(1).sum(1) + 1
    size = (found.square() + details.square()).flatten(1).sum(1) + 1
    return (values * counted).sum() / counted.sum().clamp(min=1) + (1 - overlap / size).mean()


def keep_edges(target: Tensor, edges: Tensor, *, ignore_index: int) -> Tensor:
    """Return the target with all pixels ignored but those that the logits call an edge.

    Args:
        target: (N, H, W) class ids.
        edges: logits (N, 1, H, W).
    """
    return target.masked_fill(edges[:, 0].sigmoid() <= _CERTAIN, ignore_index)


def find_edges(target: Tensor, *, side: int, ignore_index: int, stride: int = 1) -> Tensor:
    """Return bool (N, ⌈H/stride⌉, ⌈W/stride⌉): whether the window around holds two classes."""
    ignored = target == ignore_index
    ids = target.to(torch.float32)[:, None]

    def largest(values: Tensor) -> Tensor:
        values = values.masked_fill(ignored[:, None], -torch.inf)
        return F.max_pool2d(values, side, stride, padding=side // 2)[:, 0]

    most, least = largest(ids), -largest(-ids)
    return most > least


def find_details(target: Tensor, *, ignore_index: int) -> Tensor:
    """Return bool (N, H, W): where edges of strides 1, 2 and 4 together pass the threshold."""
    total = torch.zeros(target.shape, dtype=torch.float64, device=target.device)
    for stride, share in _DETAIL_SHARES:
        edges = find_edges(target, side=3, ignore_index=ignore_index, stride=stride)
        enlarged = F.interpolate(edges[:, None].double(), size=target.shape[-2:])[:, 0]
        total += share * enlarged
    return total > _DETAIL_THRESHOLD
