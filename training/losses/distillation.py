"""Distillation: how far a student's answers and features are from its teacher's.

Paper:   pixels: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015,
         https://arxiv.org/abs/1503.02531, at each pixel as Liu et al., "Structured Knowledge
         Distillation for Semantic Segmentation", CVPR 2019, https://arxiv.org/abs/1903.04197;
         channels: Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction",
         ICCV 2021, https://arxiv.org/abs/2011.13256;
         features: Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017,
         https://arxiv.org/abs/1612.03928
Idea:    the divergence KL(teacher || student), over the classes of a pixel or over the pixels of
         a class; and the distance between maps of the encoders' energy.
Shapes:  logits (N, K, H, W) of both -> scalar; features (N, C, h, w), C may differ -> scalar.
Differs: attention maps are compared by their squared distance, which is smooth at 0; a teacher's
         map of another size is resized first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import kl_div, normalize

from maskzoo.models.network.layers import as_float32, resize


def pixel_divergence(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Return T² · KL over the classes of logits / T, the mean over all pixels."""
    return _divergence(student, teacher, temperature, dim=1) / student[:, 0].numel()


def channel_divergence(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Return T² · KL over the pixels of logits / T, the mean over images and classes."""
    flat = _divergence(student.flatten(2), teacher.flatten(2), temperature, dim=2)
    return flat / (student.shape[0] * student.shape[1])


def attention_distance(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Return the squared distance of unit attention maps, 0 to 2, the mean over images and levels.

    Args:
        student, teacher: features of the same levels, one or more.
    """
    distances = [
        (_attention(own) - _attention(resize(theirs, own.shape[-2:], align_corners=False)))
        .square()
        .sum(1)
        .mean()
        for own, theirs in zip(student, teacher, strict=True)
    ]
    return torch.stack(distances).mean()


def _divergence(student: Tensor, teacher: Tensor, temperature: float, *, dim: int) -> Tensor:
    ours = (as_float32(student) / temperature).log_softmax(dim)
    theirs = (as_float32(teacher) / temperature).log_softmax(dim)
    return temperature**2 * kl_div(ours, theirs, reduction="sum", log_target=True)


def _attention(features: Tensor) -> Tensor:
    """Return the energy at each position as a unit vector (N, h·w)."""
    return normalize(as_float32(features).square().mean(1).flatten(1))
