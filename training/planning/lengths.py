"""Crop size, crops per epoch and steps of a run."""

from __future__ import annotations

from collections.abc import Sequence

from maskzoo.training.config.section import resolved
from maskzoo.training.config.settings import TrainConfig


def crop_size(config: TrainConfig) -> tuple[int, int]:
    """Return height and width of a training crop; the size must be resolved."""
    size = config.loader.crop_size
    assert size != "auto", "maskzoo.training.planning.plan resolves loader.crop_size"
    return (size, size) if isinstance(size, int) else size


def crop_counts(config: TrainConfig, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Return how often an epoch crops each image; `crops_per_image` must be resolved.

    Args:
        sizes: height and width of each image.
    """
    given = config.loader.crops_per_image
    assert given != "auto", "maskzoo.training.planning.plan resolves loader.crops_per_image"
    if given != "area":
        return [given] * len(sizes)
    crop_height, crop_width = crop_size(config)
    area = crop_height * crop_width
    return [min(16, max(1, round(height * width / area))) for height, width in sizes]


def run_lengths(config: TrainConfig, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the steps of an epoch and of the whole run; the lengths must be resolved.

    Args:
        sizes: height and width of each training image.
    """
    per_epoch = sum(crop_counts(config, sizes))
    steps_per_epoch = max(1, round(per_epoch / resolved(config.batch_size)))
    steps = steps_per_epoch * resolved(config.epochs)
    return steps_per_epoch, min(steps, config.max_steps or steps)
