"""Losses that dwell on hard pixels: OHEM and focal.

Papers: OHEM: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
        Mining", CVPR 2016, https://arxiv.org/abs/1604.03540, for pixels as mmsegmentation and
        PSPNet's followers have it: by a threshold on the probability of the true class.
        Focal: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017,
        https://arxiv.org/abs/1708.02002, with softmax in place of the sigmoid.
Shapes: logits (N, K, H, W), target (N, H, W) of class ids or `ignore_index` -> scalar.
A batch in which nothing counts costs 0 with a gradient of zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.losses.cross_entropy import flatten


def ohem(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int,
    threshold: float = 0.7,
    min_kept: float = 0.05,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return the mean cross-entropy of the hard pixels.

    Args:
        threshold: a pixel is hard if its true class has less than this probability.
        min_kept: at least this share of the counted pixels is kept, the hardest.
    """
    scores, truth, factors = _counted(logits, target, ignore_index, class_weights)
    if not len(truth):
        return scores.sum() * 0
    losses = F.cross_entropy(scores, truth, reduction="none")
    with torch.no_grad():
        chance = torch.exp(-losses)
        # Sorted and not `kthvalue`, which has no deterministic form on CUDA.
        limit = chance.sort().values[max(1, round(min_kept * len(truth))) - 1]
        factors = factors * ((chance < threshold) | (chance <= limit))
    return (factors * losses).sum() / factors.sum().clamp(min=torch.finfo(losses.dtype).tiny)


def focal(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int,
    gamma: float = 2.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Return the mean of (1 - p)^gamma * -log p over counted pixels, p of the true class.

    With class weights the mean is theirs, as in cross-entropy; `gamma` 0 is cross-entropy.
    """
    scores, truth, factors = _counted(logits, target, ignore_index, class_weights)
    log_chance = -F.cross_entropy(scores, truth, reduction="none")
    # 1 - p from the other classes' share; its floor keeps the power's slope finite at p = 1.
    rest = (-torch.expm1(log_chance)).clamp(min=torch.finfo(scores.dtype).eps)
    losses = -(rest**gamma) * log_chance
    return (factors * losses).sum() / factors.sum().clamp(min=torch.finfo(losses.dtype).tiny)


def _counted(
    logits: Tensor, target: Tensor, ignore_index: int, class_weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits (P, K), truth (P,) and factors (P,) of the counted pixels."""
    scores, truth = flatten(logits, target)
    counted = truth != ignore_index
    scores, truth = scores[counted], truth[counted]
    if class_weights is None:
        return scores, truth, torch.ones_like(truth, dtype=scores.dtype)
    return scores, truth, class_weights.to(scores.dtype)[truth]
