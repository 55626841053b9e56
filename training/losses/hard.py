"""Losses for hard pixels: OHEM and focal.

Papers: OHEM: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
        Mining", CVPR 2016, https://arxiv.org/abs/1604.03540, for pixels as mmsegmentation and
        PSPNet's followers have it: by a threshold on the probability of the true class.
        Focal: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017,
        https://arxiv.org/abs/1708.02002, with softmax in place of the sigmoid.
Shapes: logits (N, K, H, W), target (N, H, W) of class ids or `ignore_index` -> scalar.
A batch without a counted pixel costs 0 with a gradient of zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.training.losses.planes import at_truth, pixel_weights, planes


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
        min_kept: at least this fraction of the counted pixels is kept, the hardest.
    """
    log_p, factors = _counted(logits, target, ignore_index, class_weights)
    losses = -log_p
    with torch.no_grad():
        counted = (target != ignore_index).flatten()
        # Pixels that do not count come last. Sorted and not `kthvalue`, which has no deterministic
        # form on CUDA; the place stays on the device, as a CUDA graph needs.
        p = torch.where(counted, torch.exp(log_p), 2.0)
        place = (min_kept * counted.sum()).round().long().clamp(min=1) - 1
        limit = p.sort().values.gather(0, place[None])
        factors = factors * ((p < threshold) | (p <= limit))
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
    log_p, factors = _counted(logits, target, ignore_index, class_weights)
    # expm1 keeps 1 - p exact where p is near 1; the floor keeps the power's slope finite at p = 1.
    rest = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).eps)
    losses = -(rest**gamma) * log_p
    return (factors * losses).sum() / factors.sum().clamp(min=torch.finfo(losses.dtype).tiny)


def _counted(
    logits: Tensor, target: Tensor, ignore_index: int, class_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return log p of the true class and the weight of each pixel, 0 where it does not count."""
    scores, truth = planes(logits, target)
    counted = truth != ignore_index
    log_p = at_truth(scores.log_softmax(1), truth, counted)
    weights = pixel_weights(truth, counted, class_weights).to(scores.dtype)
    return log_p.flatten(), weights.flatten()
