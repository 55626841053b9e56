"""The layout of logits and targets in the losses: one plane per class.

Letters: N images, K classes, P pixels of an image. A softmax over planes runs through whole rows of
memory; over the K values of one pixel at a time it takes fifteen times as long on a CPU (11
classes, AVX-512). The true class's value is gathered and not taken by torch's 2-D cross-entropy,
which has no deterministic form on CUDA.
"""

from __future__ import annotations

import torch
from torch import Tensor


def planes(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (N, K, H, W) as (N, K, P) in float32 at least, and target as (N, P)."""
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    return logits.contiguous().flatten(2), target.flatten(1)


def at_truth(values: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """Return (N, P): each pixel's value in `values` (N, K, P) at its class, if `counted`."""
    return values.gather(1, torch.where(counted, truth, 0)[:, None])[:, 0]


def pixel_weights(truth: Tensor, counted: Tensor, class_weights: Tensor | None) -> Tensor:
    """Return (N, P): 0 where not `counted`, else the class's weight, 1 without weights."""
    if class_weights is None:
        return counted.to(torch.get_default_dtype())
    return class_weights[torch.where(counted, truth, 0)] * counted
