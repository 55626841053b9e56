"""How long a step and a validation take on this machine, measured before a race."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from maskzoo.models.inference.options import PredictOptions
from maskzoo.training.config.section import resolved
from maskzoo.training.planning.lengths import crop_size
from maskzoo.training.run.loop import Parts

_TIMED = 2
Clock = Callable[[], float]


def seconds_per_step(parts: Parts, *, clock: Clock = time.perf_counter) -> float:
    """Return the time of a training step without its loader.

    Args:
        parts: of a run that nobody needs afterwards: the steps change its weights.
        clock: seconds.
    """
    batch_size = resolved(parts.config.batch_size) // parts.fabric.world_size
    images = torch.zeros((batch_size, 3, *crop_size(parts.config)), dtype=torch.uint8)
    target = torch.zeros((batch_size, *crop_size(parts.config)), dtype=torch.int64)
    images, target = images.to(parts.fabric.device), target.to(parts.fabric.device)
    parts.network.train()
    start = 0.0
    for number in range(1 + _TIMED):
        if number == 1:  # the first step also allocates the optimizer's states and picks kernels
            start = clock()
        parts.step(images, target, micro_batch=parts.progress.micro_batch, seed=number)
    return (clock() - start) / _TIMED


def seconds_per_validation(parts: Parts, *, clock: Clock = time.perf_counter) -> float:
    """Estimate how long a validation takes, from the image in the middle of its split."""
    samples = parts.data.samples("val")
    image, _ = parts.data.read(samples[len(samples) // 2])
    parts.evaluated.eval()
    start = clock()
    parts.predictor.segment(image, PredictOptions(confidence=False))
    return (clock() - start) * len(samples)
