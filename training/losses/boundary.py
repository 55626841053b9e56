"""Boundary loss: probability costs by its distance from the true border.

Paper:   Kervadec et al., "Boundary loss for highly unbalanced segmentation", MIDL 2019,
         https://arxiv.org/abs/1812.07032
Idea:    for each class, the mean of p * phi over counted pixels, where phi is the signed distance
         to the class's border: negative inside, positive outside.
Shapes:  logits (N, K, H, W), target (N, H, W) of class ids or `ignore_index` -> scalar.
Differs: distances are divided by the image's diagonal, so that the value (within -1 … 1) does not
         depend on the resolution; ignored pixels are neither inside nor outside of any class; the
         mean is over the classes that occur in an image and do not fill it, as others have no
         border. Use it beside another term: alone it can collapse, as the paper says. Distances
         are computed on the CPU.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor


def boundary(logits: Tensor, target: Tensor, *, ignore_index: int) -> Tensor:
    """Return the mean over classes with a border of their mean signed distance."""
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    distances, has_border = signed_distances(
        target.cpu().numpy(), logits.shape[1], ignore_index=ignore_index
    )
    phi = torch.from_numpy(distances).to(logits)
    counted = (target != ignore_index).flatten(1).sum(1).clamp(min=1)  # (N,)
    values = (logits.softmax(1) * phi).flatten(2).sum(2) / counted[:, None]  # (N, K)
    chosen = torch.from_numpy(has_border).to(values)
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def signed_distances(
    target: np.ndarray, num_classes: int, *, ignore_index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 (N, K, H, W) distances in diagonals, 0 where ignored, and bool (N, K)."""
    number, height, width = target.shape
    distances = np.zeros((number, num_classes, height, width), np.float32)
    has_border = np.zeros((number, num_classes), bool)
    diagonal = float(np.hypot(height, width))
    for n, mask in enumerate(target):
        counted = mask != ignore_index
        for k in np.unique(mask[counted]).tolist():
            inside, outside = mask == k, counted & (mask != k)
            if outside.any():
                distances[n, k] = _distance_to(inside) * outside - _distance_to(outside) * inside
                has_border[n, k] = True
    return distances / diagonal, has_border


def _distance_to(pixels: np.ndarray) -> np.ndarray:
    """Return each pixel's Euclidean distance to the nearest of `pixels`."""
    return cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
