"""SE-loss: the presence of each class in the image, predicted by one vector for the image.

Paper:   Zhang et al., "Context Encoding for Semantic Segmentation" (EncNet), CVPR 2018,
         https://arxiv.org/abs/1803.08904
Shapes:  logits (N, K) of presence, target (N, H, W) of class ids or `ignore_index` -> scalar.
Differs: an image without a counted pixel has no known classes and is left out; the
         mean is taken over the others, and is 0 if there are none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def scene_presence(target: Tensor, num_classes: int) -> Tensor:
    """Return bool (N, K): whether a class occurs in the image's counted pixels."""
    pixels = target.flatten(1)
    return torch.stack([(pixels == index).any(1) for index in range(num_classes)], dim=1)


def scene_loss(logits: Tensor, target: Tensor, *, ignore_index: int) -> Tensor:
    """Return the mean binary cross-entropy of the classes' presence."""
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    presence = scene_presence(target, logits.shape[1]).to(logits.dtype)
    counted = (target.flatten(1) != ignore_index).any(1)
    values = F.binary_cross_entropy_with_logits(logits, presence, reduction="none").mean(1)
    return (values * counted).sum() / counted.sum().clamp(min=1)
