"""Crops per epoch and steps of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maskzoo.training.config.run_config import RunConfig


@dataclass(frozen=True)
class RunLengths:
    """The steps of an epoch and of the whole run."""

    steps_per_epoch: int
    total_steps: int


def crop_counts(
    per_image: int | Literal["area"], crop: tuple[int, int], sizes: Sequence[tuple[int, int]]
) -> list[int]:
    """Return how often an epoch crops each image.

    Args:
        per_image: the setting `loader.crops_per_image`.
        crop: height and width of a crop.
        sizes: height and width of each image.
    """
    if per_image != "area":
        return [per_image] * len(sizes)
    crop_height, crop_width = crop
    area = crop_height * crop_width
    return [min(16, max(1, round(height * width / area))) for height, width in sizes]


def run_lengths(config: RunConfig, sizes: Sequence[tuple[int, int]]) -> RunLengths:
    """Return the lengths of a run.

    Args:
        sizes: height and width of each training image.
    """
    crops = sum(crop_counts(config.loader.crops_per_image, config.loader.crop, sizes))
    steps_per_epoch = max(1, round(crops / config.batch_size))
    steps = steps_per_epoch * config.epochs
    return RunLengths(steps_per_epoch, min(steps, config.max_steps or steps))
