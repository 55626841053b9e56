"""How long a step and a validation take here, measured on throw-away parts of a run."""

from __future__ import annotations

import time

import torch

from maskzoo.training.config.section import resolved
from maskzoo.training.planning.lengths import crop_size
from maskzoo.training.run.loop import Parts

_TIMED = 2


def seconds_per_step(parts: Parts) -> float:
    """Return the time of a training step without its loader; `parts` is not to be used after."""
    share = resolved(parts.config.batch_size) // parts.fabric.world_size
    images = torch.zeros((share, 3, *crop_size(parts.config)), dtype=torch.uint8)
    target = torch.zeros((share, *crop_size(parts.config)), dtype=torch.int64)
    images, target = images.to(parts.fabric.device), target.to(parts.fabric.device)
    parts.network.train()
    began = 0.0
    for number in range(1 + _TIMED):
        if number == 1:  # the first step also makes the optimizer's states and picks kernels
            began = time.perf_counter()
        parts.step(images, target, micro_batch=parts.progress.micro_batch, seed=number)
    return (time.perf_counter() - began) / _TIMED


def seconds_per_validation(parts: Parts) -> float:
    """Return about how long a validation takes, from its middle image."""
    samples = parts.data.samples("val")
    image, _ = parts.data.read(samples[len(samples) // 2])
    parts.evaluated.eval()
    began = time.perf_counter()
    parts.predictor.segment(image, confidence=False)
    return (time.perf_counter() - began) * len(samples)
