"""`RunConfig`: a configuration in which every value is decided.

A `TrainConfig` is the input of a person and may hold ``"auto"``. `training.planning` narrows it in
two steps, each with its own type: a `MachineConfig` has a device and a network, which must be
decided before anything can be built; a `RunConfig` has every value. Both keep the keys of
`TrainConfig`, so a run's config.yaml can be given to another run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from maskzoo.models.engines.base import EngineName
from maskzoo.training.config.augment import AugmentConfig
from maskzoo.training.config.losses import ClassWeights, LossConfig, LossTerms
from maskzoo.training.config.section import Fraction, NonNegativeInt, PositiveFloat, PositiveInt
from maskzoo.training.config.settings import (
    BundleConfig,
    LoaderConfig,
    ModelConfig,
    OptimizerConfig,
    RuntimeConfig,
    TrainConfig,
)


def _is_decided(name: str) -> str:
    if name == "auto":
        raise ValueError("must be decided before a run")
    return name


Decided = Annotated[str, AfterValidator(_is_decided)]


class MachineModel(ModelConfig):
    """The network that is trained."""

    architecture: Decided
    encoder: Decided


class MachineRuntime(RuntimeConfig):
    """The device, with `micro_batch` left open."""

    accelerator: Literal["cpu", "cuda", "mps"]
    devices: PositiveInt
    precision: Literal["fp32", "bf16"]
    channels_last: bool
    step: Literal["eager", "captured", "compiled"]


class MachineLoader(LoaderConfig):
    """The loader's processes, with their work left open."""

    num_workers: NonNegativeInt


class MachineConfig(TrainConfig):
    """A configuration whose device and network are decided."""

    model: MachineModel
    runtime: MachineRuntime
    loader: MachineLoader


class RunOptimizer(OptimizerConfig):
    """The optimizer of a run."""

    lr: PositiveFloat
    head_lr_mult: PositiveFloat


class RunLoss(LossConfig):
    """The loss of a run."""

    terms: LossTerms
    class_weights: ClassWeights | None


class RunLoader(MachineLoader):
    """The loader of a run."""

    crop_size: PositiveInt | tuple[PositiveInt, PositiveInt]
    crops_per_image: PositiveInt | Literal["area"]
    cache_mib: NonNegativeInt

    @property
    def crop(self) -> tuple[int, int]:
        """Height and width of a training crop."""
        return height_and_width(self.crop_size)


class RunAugment(AugmentConfig):
    """The augmentation of a run."""

    rare_class_crops: Fraction
    flip_vertical: Fraction
    rotate90: Fraction


class RunRuntime(MachineRuntime):
    """Device, precision and micro-batch of a run."""

    micro_batch: PositiveInt


class RunBundle(BundleConfig):
    """The bundle of a run."""

    name: Decided
    engine: Literal["none"] | EngineName


class RunConfig(MachineConfig):
    """The configuration of a run: every value is decided."""

    epochs: PositiveInt
    batch_size: PositiveInt
    validate_every: PositiveInt
    optimizer: RunOptimizer
    loss: RunLoss
    loader: RunLoader
    augment: RunAugment
    runtime: RunRuntime
    bundle: RunBundle


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return a size as (height, width); one number means a square."""
    return (size, size) if isinstance(size, int) else size
