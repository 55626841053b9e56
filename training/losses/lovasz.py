"""Lovász-softmax: a convex stand-in for the mean IoU.

Paper:   Berman et al., "The Lovász-Softmax loss: A tractable surrogate for the optimization of
         the intersection-over-union measure in neural networks", CVPR 2018,
         https://arxiv.org/abs/1705.08790
Idea:    sort the pixels of a class by their error; the loss is the errors' sum, each weighted by
         how much the IoU falls when this pixel becomes wrong too.
Shapes:  logits (N, K, H, W), target (N, H, W) of class ids or `ignore_index` -> scalar.
Differs: nothing; the mean is over the classes that occur in the batch, all pixels of the batch
         together ("present", "batch" in the paper's code). A batch in which nothing counts costs
         0 with a gradient of zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.training.losses.planes import planes


def lovasz_softmax(logits: Tensor, target: Tensor, *, ignore_index: int) -> Tensor:
    """Return the mean over classes present of the Lovász extension of 1 - IoU."""
    scores, truth = planes(logits, target)
    counted = truth != ignore_index
    probabilities, truth = scores.softmax(1), truth[counted]
    losses = []
    for index in torch.unique(truth).tolist():
        belongs = truth == index
        errors = (belongs.to(scores.dtype) - probabilities[:, index][counted]).abs()
        errors, order = errors.sort(descending=True)
        losses.append(errors @ iou_steps(belongs[order]).to(errors.dtype))
    return torch.stack(losses).mean() if losses else scores.sum() * 0


def iou_steps(belongs: Tensor) -> Tensor:
    """Return by how much 1 - IoU grows as each pixel in turn becomes wrong.

    Args:
        belongs: bool (P,), the pixels that truly are of the class.

    Returns:
        float64 (P,); the counts below are integers, so this is exact and deterministic.
    """
    total = belongs.sum()
    intersection = total - belongs.cumsum(0)
    union = total + (~belongs).cumsum(0)
    loss = 1 - intersection.double() / union
    return torch.diff(loss, prepend=loss.new_zeros(1))
