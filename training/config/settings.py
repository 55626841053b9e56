"""TrainConfig: everything that a training run can be told, as frozen records.

A run is described by the defaults below, then a preset, then one YAML file, then dotted
`key=value` settings; a later source wins. Nothing in a configuration is code. ``"auto"`` means
that `training.planning.plan` decides from the data and the machine; the value it chose is written
to `config.yaml` in the run's folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maskzoo.models.engines.artefact import EngineName
from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.models.spec import Scalar
from maskzoo.training.augment import AugmentConfig
from maskzoo.training.config.auto import Auto
from maskzoo.training.config.overrides import apply_override, describe, merge
from maskzoo.training.losses.config import LossConfig

_PRESETS = Path(__file__).parent / "presets"

PositiveInt = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(Section):
    """Which network is trained; the fields of `models.spec.ModelSpec` that a person chooses.

    Args:
        architecture, encoder: auto takes what the device trains in hours: on a GPU DANet on a
            ResNet-50, elsewhere a U-Net on a ResNet-18; with `start_from` the bundle's own.
        start_from: folder of a bundle whose weights the network starts from. Where neither
            architecture nor encoder is given, their options are the bundle's too.
    """

    architecture: str | Auto = "auto"
    encoder: str | Auto = "auto"
    encoder_weights: str | None = None
    start_from: str | None = None
    output_stride: Literal[8, 16, 32] | None = None
    encoder_options: dict[str, Scalar] = Field(default_factory=dict)
    options: dict[str, Scalar] = Field(default_factory=dict)
    plugins: tuple[str, ...] = ()


class OptimizerConfig(Section):
    """How weights move.

    Args:
        lr: learning rate of the encoder at its peak; auto makes a range test
            (`training.steps.range_test`), and `rule` takes the rule of thumb that the test
            starts from.
        head_lr_mult: factor on `lr` for everything behind the encoder.
        weight_decay: not applied to norms and biases.
        clip_norm: largest L2 norm of the gradient; None leaves it alone.
        layer_decay: each block of the encoder has this factor less of the rate than the one
            behind it; 1 gives all the same, 0.65 to 0.9 is usual for pre-trained transformers.
        freeze_encoder: the encoder's own weights and statistics stay as they are.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: Annotated[float, Field(gt=0)] | Literal["auto", "rule"] = "auto"
    head_lr_mult: Annotated[float, Field(gt=0)] | Auto = "auto"
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    momentum: Share = 0.9
    betas: tuple[Share, Share] = (0.9, 0.999)
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    freeze_encoder: bool = False


class ScheduleConfig(Section):
    """How the learning rate changes from step to step.

    Args:
        warmup: share of all steps during which the rate rises linearly.
        power: exponent of `poly`.
        final: the last rate as a share of the peak.
    """

    name: Literal["poly", "cosine", "onecycle"] = "poly"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    power: Annotated[float, Field(gt=0)] = 0.9
    final: Share = 0.0


class LoaderConfig(Section):
    """How images reach the network.

    Args:
        crop_size: height and width of a training crop; one number means a square.
        crops_per_image: how often each image is cropped in one epoch; ``"area"`` takes as many
            crops as fit into the image, 1 to 16, so that every part of a large image is seen as
            often as a small one.
        num_workers: processes that read and augment.
        prefetch: batches that each process prepares ahead.
        cache_mib: memory for decoded images, in MiB over all processes; 0 decodes each time.
    """

    crop_size: PositiveInt | tuple[PositiveInt, PositiveInt] | Auto = "auto"
    crops_per_image: PositiveInt | Literal["area"] | Auto = "auto"
    num_workers: Annotated[int, Field(ge=0)] | Auto = "auto"
    prefetch: PositiveInt = 2
    cache_mib: Annotated[int, Field(ge=0)] | Auto = "auto"


class RuntimeConfig(Section):
    """On what the run computes, and how.

    Args:
        micro_batch: images that go through the network at once; the gradients of several
            micro-batches add up to one step of `batch_size`.
        precision: `bf16` is autocast; auto takes it where the device has units for it.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: PositiveInt | Auto = 1
    num_nodes: PositiveInt = 1
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    channels_last: bool | Auto = "auto"
    deterministic: bool = False
    micro_batch: PositiveInt | Auto = "auto"


class BundleConfig(Section):
    """The bundle that the run ends with.

    Args:
        description: what the network is for, in a sentence; for the model card.
        data_licence, weights_licence: of the training data, and of the weights that come of it.
        engine: for which the bundle is exported at the end, as `maskzoo export` does; `auto` is
            openvino where it can be written, and `none` leaves it out.
        check_images: from so many validation images a part of 256 x 256 is kept beside the export;
            by them each machine sees whether its faster arithmetic gives the same classes. 0 keeps
            none of the data and takes generated pictures, which no network has learnt to decide:
            fewer pixels agree, so that bfloat16 is taken less often.
    """

    name: str | Auto = "auto"
    dtype: Literal["float16", "float32"] = "float16"
    engine: Literal["auto", "none"] | EngineName = "auto"
    check_images: Annotated[int, Field(ge=0, le=16)] = 4
    description: str | None = None
    data_licence: str | None = None
    weights_licence: str | None = None


class TrainConfig(Section):
    """One training run.

    Args:
        seed: of everything random.
        allow_bad: so many samples with errors are left out; more stop the run.
        epochs: passes over the training images (times `loader.crops_per_image`).
        max_steps: end after so many steps, if the epochs do not end before.
        batch_size: images in one step, over all devices and micro-batches together.
        validate_every: epochs between two validations.
        checkpoint_minutes: the checkpoint is also written whenever this much time has passed.
        early_stop: stop after so many validations without a better mean IoU.
        ema: decay of the running mean of the weights, which is what is validated and stored;
            None uses the weights themselves.
        max_bad_steps: give up after so many steps with a loss that is no number.
        track: services that get the curves too; CSV and TensorBoard files are always written.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    allow_bad: Annotated[int, Field(ge=0)] = 0
    epochs: PositiveInt | Auto = "auto"
    max_steps: PositiveInt | None = None
    batch_size: PositiveInt | Auto = "auto"
    validate_every: PositiveInt | Auto = "auto"
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 5.0
    early_stop: PositiveInt | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.999
    max_bad_steps: PositiveInt = 10
    track: tuple[Literal["wandb", "mlflow"], ...] = ()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    loss: LossConfig = LossConfig()
    loader: LoaderConfig = LoaderConfig()
    augment: AugmentConfig = AugmentConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    bundle: BundleConfig = BundleConfig()


def list_presets() -> list[str]:
    """Return the names of the presets that come with maskzoo."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def load_config(
    overrides: Sequence[str] = (), file: Path | None = None, *, preset: str | None = None
) -> TrainConfig:
    """Read a configuration: defaults, then `preset`, then `file`, then `overrides`.

    Args:
        overrides: dotted settings such as ``"optimizer.lr=1e-3"``; values are YAML.
        file: a YAML file of the same fields.
        preset: a name of `list_presets`.

    Raises:
        SpecError: lists every mistake of all sources.
        UnknownNameError: there is no such preset.
    """
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    if preset is not None:
        if preset not in list_presets():
            raise UnknownNameError("preset", preset, list_presets())
        merge(values, _read_yaml(_PRESETS / f"{preset}.yaml"))
    if file is not None:
        merge(values, _read_yaml(file))
    for override in overrides:
        mistakes += apply_override(values, override)
    try:
        config = TrainConfig.model_validate(values)
    except ValidationError as error:
        mistakes += describe(error, TrainConfig)
    if mistakes:
        raise SpecError("configuration", mistakes)
    return config


def dump_config(config: TrainConfig) -> str:
    """Return the configuration as YAML that `load_config` reads back to an equal record."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"configuration file {str(path)!r}", [str(error)]) from None
    if not isinstance(values or {}, dict):
        raise SpecError(f"configuration file {str(path)!r}", ["must hold keys and values"])
    return values or {}
