"""Duration of a step and of a validation on this machine, measured before a race."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from maskzoo.models.inference.options import PredictOptions
from maskzoo.training.run.parts import Parts

_TIMED = 2
Clock = Callable[[], float]


def seconds_per_step(parts: Parts, *, clock: Clock = time.perf_counter) -> float:
    """Return the time of a training step without its loader.

    Args:
        parts: of a throw-away run, since the steps change its weights.
        clock: seconds.
    """
    fabric, crop = parts.context.fabric, parts.config.loader.crop
    batch_size = parts.config.batch_size // fabric.world_size
    shape = (batch_size, parts.network.spec.in_channels, *crop)
    images = torch.zeros(shape, dtype=torch.uint8, device=fabric.device)
    target = torch.zeros((batch_size, *crop), dtype=torch.int64, device=fabric.device)
    parts.network.train()
    start = 0.0
    for number in range(1 + _TIMED):
        if number == 1:  # the first step also allocates the optimizer's states and picks kernels
            start = clock()
        parts.step(images, target, micro_batch=parts.progress.micro_batch, seed=number)
    return (clock() - start) / _TIMED


def seconds_per_validation(parts: Parts, *, clock: Clock = time.perf_counter) -> float:
    """Estimate how long a validation takes, from the image in the middle of its split."""
    data = parts.context.data
    samples = data.samples("val")
    image, _ = data.read(samples[len(samples) // 2])
    parts.evaluated.eval()
    start = clock()
    parts.predictor.segment(image, PredictOptions(confidence=False))
    return (clock() - start) * len(samples)
