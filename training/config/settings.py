"""`TrainConfig`: the settings of a training run, as frozen records.

A run is described by the defaults below, then a preset, then one YAML file, then dotted
`key=value` settings; a later source wins (`training.config.load`). Nothing in a configuration is
code. ``"auto"`` leaves a value to `training.planning.plan`, which decides from the data and the
machine; the value it chose is written to `config.yaml` in the run's folder.

The text below a field describes it in docs/train-config.schema.json too.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskzoo.models.engines.base import EngineName
from maskzoo.models.spec import Scalar
from maskzoo.training.config.augment import AugmentConfig
from maskzoo.training.config.losses import LossConfig
from maskzoo.training.config.section import (
    Auto,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
)
from maskzoo.training.config.teacher import TeacherConfig


class ModelConfig(Section):
    """Which network is trained; the fields of `models.spec.ModelSpec` that a person chooses."""

    architecture: str | Auto = "auto"
    """auto takes what the device trains in hours: on a GPU a DANet, elsewhere a U-Net; with
    `start_from` the bundle's own."""
    encoder: str | Auto = "auto"
    """auto takes a ResNet-50 on a GPU, elsewhere a ResNet-18; with `start_from` the bundle's
    own."""
    encoder_weights: str | None = None
    """Trained weights that the encoder starts from: `imagenet` (fetched from the hub once),
    `builtin` (ships with maskzoo, see `maskzoo encoders list --builtin`), or the path of a file;
    None starts it untrained."""
    start_from: str | None = None
    """Folder of a bundle, or name of a shipped one, whose weights the network starts from. Classes
    are matched by name. What is not given of the network is the bundle's."""
    output_stride: Literal[8, 16, 32] | None = None
    encoder_options: dict[str, Scalar] = Field(default_factory=dict)
    options: dict[str, Scalar] = Field(default_factory=dict)
    """Options of the architecture."""
    plugins: tuple[str, ...] = ()
    """Plug-ins with their sites, such as `cbam@encoder.4`."""


class OptimizerConfig(Section):
    """How weights move."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: PositiveFloat | Literal["auto", "rule"] = "auto"
    """Learning rate of the encoder at its peak; auto makes a range test
    (`training.steps.range_test`), and `rule` takes the rule of thumb that the test starts from."""
    head_lr_mult: PositiveFloat | Auto = "auto"
    """Factor on `lr` for what starts untrained behind the encoder: all of it, or with
    `model.start_from` what the bundle did not give."""
    weight_decay: NonNegativeFloat = 0.01
    """Not applied to norms and biases."""
    momentum: Fraction = 0.9
    """Momentum of `sgd`."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Decay of the two moments of `adamw`."""
    clip_norm: PositiveFloat | None = 1.0
    """Largest L2 norm of the gradient; None leaves the gradient alone."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each block of the encoder has this factor less of the rate than the one behind it; 1 gives
    all blocks the same rate, 0.65 to 0.9 is usual for pre-trained transformers."""
    freeze: tuple[str, ...] = ()
    """Parts whose weights and statistics stay as they are: `encoder`, one of its stages such as
    `encoder.1`, or any module by its name, such as `decoder`."""


class ScheduleConfig(Section):
    """How the learning rate changes from step to step."""

    name: Literal["poly", "cosine", "onecycle"] = "poly"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Fraction of all steps during which the rate rises linearly."""
    power: PositiveFloat = 0.9
    """Exponent of `poly`."""
    final: Fraction = 0.0
    """The last rate as a fraction of the peak."""


class LoaderConfig(Section):
    """How images reach the network."""

    crop_size: PositiveInt | tuple[PositiveInt, PositiveInt] | Auto = "auto"
    """Height and width of a training crop; one number means a square."""
    crops_per_image: PositiveInt | Literal["area"] | Auto = "auto"
    """How often each image is cropped in one epoch; ``"area"`` takes as many crops as fit into
    the image, 1 to 16, so that every part of a large image is seen as often as a small one."""
    num_workers: NonNegativeInt | Auto = "auto"
    """Processes that read and augment."""
    prefetch: PositiveInt = 2
    """Batches that each process prepares ahead."""
    cache_mib: NonNegativeInt | Auto = "auto"
    """Memory for decoded images, in MiB over all processes; 0 decodes each time."""


class RuntimeConfig(Section):
    """Device, precision and micro-batching."""

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: PositiveInt | Auto = 1
    num_nodes: PositiveInt = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`bf16` is autocast; auto takes it where the device has units for it."""
    channels_last: bool | Auto = "auto"
    """Memory layout of the network and its input."""
    step: Literal["auto", "eager", "captured", "compiled"] = "auto"
    """`captured` launches forward and backward as one CUDA graph; `compiled` fuses the network by
    TorchInductor first, which takes minutes and a C++ compiler; `eager` is plain torch."""
    deterministic: bool = False
    """Refuse operations whose result depends on the order of threads."""
    micro_batch: PositiveInt | Auto = "auto"
    """Images that go through the network at once; the gradients of several micro-batches add up
    to one step of `batch_size`."""


class BundleConfig(Section):
    """The bundle that the run ends with."""

    name: str | Auto = "auto"
    """auto joins the names of the data and of the architecture."""
    dtype: Literal["float16", "float32"] = "float16"
    """Type of the stored weights."""
    engine: Literal["auto", "none"] | EngineName = "auto"
    """Engine for which the bundle is exported at the end, as `maskzoo export` does; `auto` is
    openvino where it can be written, and `none` leaves the export out."""
    check_images: Annotated[int, Field(ge=0, le=16)] = 4
    """From so many validation images a part of 256 x 256 is kept beside the export; by them each
    machine sees whether its faster arithmetic gives the same classes. 0 keeps none of the data
    and takes generated images, which no network has learnt to decide: fewer pixels agree, so that
    bfloat16 is taken less often."""
    description: str | None = None
    """What the network is for, in a sentence; for the model card."""
    data_licence: str | None = None
    """Licence of the training data."""
    weights_licence: str | None = None
    """Licence of the weights that come of it."""


class TrainConfig(Section):
    """One training run."""

    seed: NonNegativeInt = 0
    """Seed of everything random."""
    masks: str | None = None
    """The masks that are meant, where the data can be read in several ways."""
    allow_bad: NonNegativeInt = 0
    """So many samples with errors are left out; more stop the run."""
    epochs: PositiveInt | Auto = "auto"
    """Passes over the training images (times `loader.crops_per_image`)."""
    max_steps: PositiveInt | None = None
    """End after so many steps, if the epochs do not end before."""
    batch_size: PositiveInt | Auto = "auto"
    """Images in one step, over all devices and micro-batches together."""
    validate_every: PositiveInt | Auto = "auto"
    """Epochs between two validations."""
    checkpoint_minutes: PositiveFloat = 5.0
    """The checkpoint is also written whenever this much time has passed."""
    early_stop: PositiveInt | None = None
    """Stop after so many validations without a better mean IoU."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.999
    """Decay of the running mean of the weights, which is what is validated and stored; None uses
    the weights themselves."""
    max_bad_steps: PositiveInt = 10
    """Give up after so many steps whose loss is not a finite number."""
    track: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Services that get the curves too; CSV and TensorBoard files are always written."""
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    loss: LossConfig = LossConfig()
    teacher: TeacherConfig = TeacherConfig()
    loader: LoaderConfig = LoaderConfig()
    augment: AugmentConfig = AugmentConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    bundle: BundleConfig = BundleConfig()
