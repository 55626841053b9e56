"""Cross-entropy over counted pixels.

Shapes: logits (N, K, H, W), target (N, H, W) of class ids or `ignore_index` -> scalar.
The mean is taken over counted pixels (over their weights, if classes are weighted), as
`torch.nn.functional.cross_entropy` does; a batch in which nothing counts costs 0 with a
gradient of zero, where torch gives NaN. Logits are flattened to (pixels, K): the 2-D kernel of
torch has no deterministic form on CUDA.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def flatten(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return float32 logits (N*H*W, K) and targets (N*H*W,); float64 stays float64."""
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    return logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1]), target.reshape(-1)


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    ignore_index: int,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the mean cross-entropy of the counted pixels, 0 if there are none."""
    scores, truth = flatten(logits, target)
    if class_weights is not None:
        class_weights = class_weights.to(scores.dtype)
    total = F.cross_entropy(
        scores,
        truth,
        weight=class_weights,
        ignore_index=ignore_index,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    counted = truth != ignore_index
    if class_weights is None:
        return total / counted.sum().clamp(min=1)
    mass = class_weights[torch.where(counted, truth, 0)] * counted
    return total / mass.sum().clamp(min=torch.finfo(scores.dtype).tiny)
