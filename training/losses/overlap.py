"""Losses on the overlap of classes: Dice and Tversky.

Papers: Dice: Milletari et al., "V-Net", 3DV 2016, https://arxiv.org/abs/1606.04797
        Tversky: Salehi et al., "Tversky loss function for image segmentation using 3D fully
        convolutional deep networks", MLMI 2017, https://arxiv.org/abs/1706.05721
Shapes: logits (N, K, H, W), target (N, H, W) of class ids or `ignore_index` -> scalar.
Sums run over all counted pixels of the batch, in float32. A class that is absent from the batch
is left out of the mean; a batch without a counted pixel costs 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.training.losses.planes import at_truth, planes


def overlap_sums(
    logits: Tensor, target: Tensor, *, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each class, the sums of p*t, p and t over counted pixels, each (K,)."""
    scores, truth = planes(logits, target)
    counted = truth != ignore_index  # (N, P)
    weights = counted.to(scores.dtype)
    probabilities = scores.softmax(1)  # (N, K, P)
    predicted = (probabilities @ weights[:, :, None]).sum((0, 2))
    # No one-hot of that size is made.
    places = torch.where(counted, truth, 0).flatten()
    right = (at_truth(probabilities, truth, counted) * weights).flatten()
    zeros = scores.new_zeros(scores.shape[1])
    present = zeros.index_add(0, places, weights.flatten())
    return zeros.index_add(0, places, right), predicted, present


def dice(logits: Tensor, target: Tensor, *, ignore_index: int, smooth: float = 1.0) -> Tensor:
    """Return 1 - Dice, the mean over classes present; 0 if there are none."""
    both, predicted, present = overlap_sums(logits, target, ignore_index=ignore_index)
    return _mean_loss(2 * both + smooth, predicted + present + smooth, present)


def tversky(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int,
    false_positives: float = 0.3,
    false_negatives: float = 0.7,
    smooth: float = 1.0,
) -> Tensor:
    """Return 1 - Tversky index, the mean over classes present; 0 if there are none.

    Args:
        false_positives, false_negatives: weights of the two kinds of mistakes; a half each is Dice,
            one each is IoU.
        smooth: added to numerator and denominator.
    """
    both, predicted, present = overlap_sums(logits, target, ignore_index=ignore_index)
    wrong = false_positives * (predicted - both) + false_negatives * (present - both)
    return _mean_loss(both + smooth, both + wrong + smooth, present)


def _mean_loss(above: Tensor, below: Tensor, present: Tensor) -> Tensor:
    score = above / below.clamp(min=torch.finfo(below.dtype).tiny)
    occurs = present > 0
    return ((1 - score) * occurs).sum() / occurs.sum().clamp(min=1)
