"""The plan of a run: every ``"auto"`` becomes a value, with the reason and how to change it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from models.errors import SpecError
from training.config import TrainConfig, resolved
from training.data.dataset import SegmentationData
from training.overrides import merge

_CROPS = {"cpu": 20_000, "cuda": 160_000, "mps": 60_000}  # crops that a whole run sees
_LARGEST_CROP = {"cpu": 256, "cuda": 512, "mps": 384}
_BATCH = {"cpu": 8, "cuda": 16, "mps": 8}


@dataclass(frozen=True)
class Decision:
    """One value that was chosen, why, and the key that changes it."""

    key: str
    value: Any
    why: str


@dataclass(frozen=True)
class Survey:
    """What the training images are like.

    Attributes:
        median_size: height and width.
        class_pixels: counted pixels of each class.
        sizes: height and width of each image.
    """

    median_size: tuple[int, int]
    class_pixels: np.ndarray
    sizes: list[tuple[int, int]]


@dataclass
class Plan:
    """A configuration without ``"auto"``, and the decisions that made it."""

    config: TrainConfig
    decisions: list[Decision] = field(default_factory=list)


def survey(data: SegmentationData) -> Survey:
    """Sum up the training images of `data`."""
    samples = data.samples("train")
    sizes = [data.sizes[sample.stem] for sample in samples]
    height, width = (int(value) for value in np.median(sizes, axis=0))
    return Survey((height, width), np.array(data.pixels["train"]), sizes)


def resolve(config: TrainConfig, seen: Survey, *, cpu_count: int | None = None) -> Plan:
    """Replace every ``"auto"``; values that were given stay."""
    planner = _Planner(config, seen, cpu_count or os.cpu_count() or 1)
    planner.machine()
    planner.sizes()
    planner.lengths()
    planner.learning()
    return Plan(planner.config, planner.decisions)


def has_bf16(accelerator: str) -> bool:
    """Tell whether the device multiplies bfloat16 in hardware."""
    if accelerator == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def balanced_weights(pixels: np.ndarray) -> tuple[float, ...]:
    """Return 1 / ln(1.02 + share of pixels) for each class, scaled to mean 1 (ENet's rule)."""
    share = pixels / max(1, pixels.sum())
    weights = 1 / np.log(1.02 + share)
    return tuple(round(float(weight), 4) for weight in weights / weights.mean())


class _Planner:
    def __init__(self, config: TrainConfig, seen: Survey, cpu_count: int) -> None:
        self.config = config
        self.seen = seen
        self.cpu_count = cpu_count
        self.decisions: list[Decision] = []

    def decide(self, key: str, value: Any, why: str) -> None:
        """Set `key` to `value` if the person left it to us."""
        section: Any = self.config
        for name in key.split("."):
            section = getattr(section, name)
        if section != "auto":
            return
        values = self.config.model_dump()
        change: Any = value
        for name in reversed(key.split(".")):
            change = {name: change}
        merge(values, change)
        self.config = TrainConfig.model_validate(values)
        self.decisions.append(Decision(key, value, why))

    def machine(self) -> None:
        cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
        device = "cuda" if cuda else "mps" if mps else "cpu"
        self.decide("runtime.accelerator", device, "the fastest device of this machine")
        self.decide(
            "runtime.devices",
            torch.cuda.device_count() if self.device == "cuda" else 1,
            "all GPUs" if self.device == "cuda" else "one process",
        )
        bf16 = has_bf16(self.device)
        self.decide(
            "runtime.precision",
            "bf16" if bf16 else "fp32",
            "the device has bf16 units" if bf16 else "the device has no bf16 units",
        )
        self.decide(
            "runtime.channels_last",
            self.device != "mps",
            "convolutions run faster on this layout",
        )
        workers = min(8, max(1, self.cpu_count // 2))
        self.decide("loader.num_workers", workers, f"{self.cpu_count} CPU cores")

    def sizes(self) -> None:
        short = min(self.seen.median_size)
        side = max(64, min(_LARGEST_CROP[self.device], short // 32 * 32))
        height, width = self.seen.median_size
        self.decide("loader.crop_size", side, f"the median image is {width} x {height}")
        self.decide(
            "loader.crops_per_image", "area", "each image as often as crops fit into it, 1 to 16"
        )

    def lengths(self) -> None:
        devices = resolved(self.config.runtime.devices) * self.config.runtime.num_nodes
        crops = sum(crop_counts(self.config, self.seen.sizes))
        batch = min(_BATCH[self.device], max(1, crops // 4)) // devices * devices
        self.decide("batch_size", max(devices, batch), f"usual on {self.device}")
        if resolved(self.config.batch_size) % devices:
            raise SpecError(
                "configuration",
                [f"batch_size {self.config.batch_size} must be a multiple of {devices} devices"],
            )
        self.decide(
            "runtime.micro_batch", resolved(self.config.batch_size) // devices, "all at once"
        )
        epochs = min(300, max(5, round(_CROPS[self.device] / crops)))
        self.decide("epochs", epochs, f"about {epochs * crops} crops in all, {crops} an epoch")
        self.decide(
            "validate_every",
            max(1, resolved(self.config.epochs) // 20),
            "about 20 validations in all",
        )

    def learning(self) -> None:
        pretrained = self.config.model.encoder_weights is not None
        state = "pre-trained" if pretrained else "untrained"
        sgd = self.config.optimizer.name == "sgd"
        batch = resolved(self.config.batch_size)
        rate = 0.01 * batch / 16 if sgd else 1e-4 if pretrained else 5e-4 * math.sqrt(batch / 8)
        name = self.config.optimizer.name
        self.decide("optimizer.lr", float(f"{rate:.3g}"), f"{name}, {state} encoder, batch {batch}")
        self.decide("optimizer.head_lr_mult", 10.0 if pretrained else 1.0, f"{state} encoder")
        share = self.seen.class_pixels / max(1, self.seen.class_pixels.sum())
        rare = float(share[share > 0].min()) if (share > 0).any() else 1.0
        if rare < 0.01:
            weights = balanced_weights(self.seen.class_pixels)
            self.decide("loss.class_weights", weights, f"the rarest class has {rare:.2%} of pixels")
        self.decide("loss.class_weights", None, f"the rarest class has {rare:.2%} of pixels")

    @property
    def device(self) -> str:
        return self.config.runtime.accelerator


def crop_size(config: TrainConfig) -> tuple[int, int]:
    """Return height and width of a training crop; the size must be resolved."""
    size = config.loader.crop_size
    assert size != "auto", "training.plan resolves loader.crop_size"
    return (size, size) if isinstance(size, int) else size


def crop_counts(config: TrainConfig, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Return how often an epoch crops each image; `crops_per_image` must be resolved.

    Args:
        sizes: height and width of each image.
    """
    given = config.loader.crops_per_image
    assert given != "auto", "training.plan resolves loader.crops_per_image"
    if given != "area":
        return [given] * len(sizes)
    crop_height, crop_width = crop_size(config)
    area = crop_height * crop_width
    return [min(16, max(1, round(height * width / area))) for height, width in sizes]
