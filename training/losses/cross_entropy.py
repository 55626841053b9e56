"""Cross-entropy over counted pixels.

Shapes: logits (N, K, H, W), target (N, H, W) of class ids or `ignore_index` -> scalar.
The mean is taken over counted pixels (over their weights, if classes are weighted), as
`torch.nn.functional.cross_entropy` does; a batch without a counted pixel costs 0 with a
gradient of zero, where torch gives NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maskzoo.training.losses.planes import at_truth, pixel_weights, planes


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean cross-entropy of the counted pixels, 0 if there are none."""
    scores, truth = planes(logits, target)
    counted = truth != ignore_index
    weights = pixel_weights(truth, counted, class_weights).to(scores.dtype)
    log_p = scores.log_softmax(1)  # (N, K, P)
    total = (at_truth(log_p, truth, counted) * weights).sum()
    if label_smoothing:
        spread = log_p
        if class_weights is not None:
            spread = log_p * class_weights.to(scores.dtype)[:, None]
        smooth = (spread.mean(1) * counted).sum()
        total = (1 - label_smoothing) * total + label_smoothing * smooth
    return -total / weights.sum().clamp(min=torch.finfo(scores.dtype).tiny)
