"""Losses on the overlap of classes: Dice.

Paper: Milletari et al., "V-Net", 3DV 2016, https://arxiv.org/abs/1606.04797
Shapes: logits (N, K, H, W), target (N, H, W) of class ids or `ignore_index` -> scalar.
Sums run over all counted pixels of the batch, in float32. A class that is absent from the batch
has no overlap to reach and is left out of the mean; a batch in which nothing counts costs 0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.losses.cross_entropy import flatten


def overlap_sums(
    logits: Tensor, target: Tensor, *, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each class, the sums of p*t, p and t over counted pixels, each (K,)."""
    scores, truth = flatten(logits, target)
    counted = truth != ignore_index
    probabilities = scores.softmax(1) * counted[:, None]  # (P, K)
    truth = torch.where(counted, truth, 0)
    picked = probabilities.gather(1, truth[:, None]).squeeze(1)  # (P,)
    num_classes = scores.shape[1]
    intersection = F.one_hot(truth, num_classes).to(scores.dtype).T @ picked
    present = torch.bincount(truth, weights=counted, minlength=num_classes).to(scores.dtype)
    return intersection, probabilities.sum(0), present


def dice(logits: Tensor, target: Tensor, *, ignore_index: int, smooth: float = 1.0) -> Tensor:
    """Return 1 - Dice, the mean over classes present; 0 if there are none."""
    intersection, predicted, present = overlap_sums(logits, target, ignore_index=ignore_index)
    score = (2 * intersection + smooth) / (predicted + present + smooth).clamp(
        min=torch.finfo(predicted.dtype).tiny
    )
    occurs = present > 0
    return ((1 - score) * occurs).sum() / occurs.sum().clamp(min=1)
