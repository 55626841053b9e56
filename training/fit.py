"""train: from a folder of images and masks to a bundle.

A run's folder holds:

    config.yaml         the configuration with every value resolved
    plan.json           what was decided from the data, and why
    log.jsonl           each step and each validation
    last.ckpt           from which the run resumes; previous.ckpt is the one before
    best.safetensors    the weights of the best validation
    bundle/             the result: network, labels, preprocessing, metrics, provenance
    predictions.png     eight predictions beside the truth
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from pydantic import ValidationError
from torch.utils.data import DataLoader

from models.errors import DataError, SpecError, ZooError
from models.inference.predictor import Predictor
from models.network import SegmentationNetwork
from models.preprocessing import Preprocessing
from models.registry import build_network
from models.spec import ModelSpec
from training.augment import build_augmentation
from training.checkpoint import Checkpoint, CheckpointError, Progress, read_checkpoint
from training.config import BundleConfig, TrainConfig, dump_config, resolved
from training.data.dataset import CropDataset, SegmentationData, open_dataset
from training.display import Display
from training.finish import finish
from training.interrupt import leave_signals_to_parent
from training.loop import LAST, Parts, TrainingLoop, restore
from training.losses.total import SegmentationLoss
from training.optim import WeightAverage, build_optimizer
from training.origin import flat_settings, run_command
from training.overrides import describe
from training.plan import crop_counts, crop_size, resolve, survey
from training.report.table import plan_table
from training.runlog import RunLog
from training.step import Normalise, TrainStep
from training.stream import SampleStream
from training.warm_start import start_from

_DRY_STEPS = 20
# What a resumed run may change without becoming another run.
_FREE_ON_RESUME = frozenset(
    {
        *("loader.num_workers", "loader.prefetch", "checkpoint_minutes", "max_bad_steps"),
        *(f"bundle.{name}" for name in BundleConfig.model_fields),
    }
)


@dataclass(frozen=True)
class TrainResult:
    """What a finished run left.

    Attributes:
        metrics: of the bundle, as `Evaluation.to_json` gives them.
    """

    bundle: Path
    metrics: dict[str, Any]
    run_dir: Path


def train(
    data: Path,
    config: TrainConfig | None = None,
    *,
    run_dir: Path,
    resume: bool = False,
    display: Display | None = None,
) -> TrainResult:
    """Train a network on the data at `data` and return its bundle.

    Args:
        config: None takes the defaults, or with `resume` the run's own configuration.
        run_dir: the run's folder; made if it is absent.
        resume: go on with the run in `run_dir`.
        display: where progress is shown.

    Raises:
        ZooError: data, configuration or checkpoint are wrong; the message says what to do.
        TrainingInterrupted: Ctrl-C or SIGTERM; the run is saved.
    """
    checkpoint = _checkpoint(run_dir, resume=resume)
    config = config or TrainConfig()
    command = checkpoint.command if checkpoint else ""
    command = command or run_command(sys.argv, data, config)
    if checkpoint is not None:
        config = _resumed_config(checkpoint, config)
    opened = open_dataset(data, seed=config.seed)
    _check_data(opened, checkpoint)
    plan = resolve(config, survey(opened)) if checkpoint is None else None
    config = plan.config if plan else config
    fabric = _fabric(config)
    display = display or Display()
    display.enabled = fabric.is_global_zero
    if fabric.is_global_zero:
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / "config.yaml").write_text(dump_config(config), encoding="utf-8")
        if plan is not None:
            display.say(plan_table(plan.decisions))
            chosen = [asdict(decision) for decision in plan.decisions]
            (run_dir / "plan.json").write_text(json.dumps(chosen, indent=1), encoding="utf-8")
    fabric.barrier()
    parts = _build(config, opened, run_dir, fabric, display, checkpoint, command)
    TrainingLoop(parts).run(_loader(parts))
    result = finish(parts) if fabric.is_global_zero else None
    fabric.barrier()
    bundle, metrics = result or (run_dir / "bundle", {})
    return TrainResult(bundle, metrics, run_dir)


def dry_run(data: Path, config: TrainConfig, *, run_dir: Path) -> TrainResult:
    """Go the whole way in twenty steps, in `run_dir`/dry-run: late failures come early.

    Raises:
        ZooError: as `train`.
    """
    folder = run_dir / "dry-run"
    shutil.rmtree(folder, ignore_errors=True)
    return train(data, config.model_copy(update={"max_steps": _DRY_STEPS}), run_dir=folder)


def _checkpoint(run_dir: Path, *, resume: bool) -> Checkpoint | None:
    path = run_dir / LAST
    if resume:
        return read_checkpoint(path)
    if path.exists():
        raise ZooError(
            f"{str(run_dir)!r} already holds a run: go on with it by --resume, or choose another "
            "folder by --out"
        )
    return None


def _resumed_config(checkpoint: Checkpoint, given: TrainConfig) -> TrainConfig:
    """Return the run's own configuration with the changes that do not make it another run."""
    try:
        stored = TrainConfig.model_validate(checkpoint.config).model_dump(mode="json")
    except ValidationError as error:
        raise CheckpointError(
            f"the run was begun by another version of maskzoo: {describe(error, TrainConfig)[0]}; "
            "go on with that version, or start the run again"
        ) from None
    known = flat_settings(stored)
    mistakes = []
    for key, value in flat_settings(given.model_dump(mode="json", exclude_unset=True)).items():
        if key in known and value in ("auto", known[key]):
            continue
        if key in _FREE_ON_RESUME:
            section, _, leaf = key.rpartition(".")
            (stored[section] if section else stored)[leaf] = value
        else:
            mistakes.append(f"{key} is {known.get(key)!r} in this run, given {value!r}")
    if mistakes:
        raise SpecError("a resumed run keeps its configuration", mistakes)
    return TrainConfig.model_validate(stored)


def _check_data(data: SegmentationData, checkpoint: Checkpoint | None) -> None:
    for split in ("train", "val"):
        if not data.samples(split):
            raise DataError(f"{str(data.root)!r} has no images in its split {split!r}")
    if data.labels.num_classes < 2:
        raise DataError(
            f"{str(data.root)!r} has one class, {data.labels.names[0]!r}: a segmentation needs at "
            "least two, such as background and foreground"
        )
    if checkpoint is not None and checkpoint.fingerprint != data.fingerprint:
        raise CheckpointError(
            f"the data at {str(data.root)!r} has changed since this run began: put it back as it "
            "was, or start another run with another --out"
        )


def _fabric(config: TrainConfig) -> Fabric:
    runtime = config.runtime
    if runtime.deterministic:
        torch.use_deterministic_algorithms(True)
    fabric = Fabric(
        accelerator=runtime.accelerator,
        devices=runtime.devices,
        num_nodes=runtime.num_nodes,
        precision="bf16-mixed" if runtime.precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def _build(
    config: TrainConfig,
    data: SegmentationData,
    run_dir: Path,
    fabric: Fabric,
    display: Display,
    checkpoint: Checkpoint | None,
    command: str,
) -> Parts:
    torch.manual_seed(config.seed)
    network = _network(config, data, fabric, display, is_new=checkpoint is None)
    average = WeightAverage(network, decay=config.ema) if config.ema else None
    optimizer = build_optimizer(network, config.optimizer)
    progress = Progress(micro_batch=resolved(config.runtime.micro_batch))
    if checkpoint is not None:
        restore(checkpoint, network, optimizer, average)
        progress = checkpoint.progress
    module, fabric_optimizer = fabric.setup(network, optimizer)
    module.mark_forward_method("forward_train")
    step = TrainStep(
        fabric,
        module,
        fabric_optimizer,
        _loss(config, data, network).to(fabric.device),
        normalise=Normalise(
            network.encoder.mean,
            network.encoder.std,
            device=fabric.device,
            channels_last=bool(config.runtime.channels_last),
        ),
        clip_norm=config.optimizer.clip_norm,
        say=display.say,
    )
    train_size = crop_size(config)
    preprocessing = Preprocessing(
        mean=network.encoder.mean, std=network.encoder.std, train_size=train_size
    )
    evaluated = average.network if average else network
    per_epoch = sum(crop_counts(config, survey(data).sizes))
    steps_per_epoch = max(1, round(per_epoch / resolved(config.batch_size)))
    steps = steps_per_epoch * resolved(config.epochs)
    return Parts(
        config=config,
        data=data,
        run_dir=run_dir,
        fabric=fabric,
        network=network,
        optimizer=optimizer,
        average=average,
        step=step,
        predictor=Predictor(evaluated, data.labels, preprocessing, device=str(fabric.device)),
        preprocessing=preprocessing,
        progress=progress,
        total_steps=min(steps, config.max_steps or steps),
        steps_per_epoch=steps_per_epoch,
        display=display,
        log=RunLog(run_dir / "log.jsonl", step=progress.step) if fabric.is_global_zero else None,
        command=command,
    )


def _network(
    config: TrainConfig, data: SegmentationData, fabric: Fabric, display: Display, *, is_new: bool
) -> SegmentationNetwork:
    model = config.model
    spec = ModelSpec.build(
        architecture=model.architecture,
        encoder=model.encoder,
        num_classes=data.labels.num_classes,
        output_stride=model.output_stride,
        encoder_options=model.encoder_options,
        options=model.options,
        plugins=model.plugins,
    )
    network = build_network(spec, encoder_weights=model.encoder_weights if is_new else None)
    if model.start_from and is_new:
        display.say(start_from(network, data.labels, Path(model.start_from)))
    if fabric.world_size > 1 and fabric.device.type == "cuda":  # it exists on no other device
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)
    network = network.to(fabric.device)
    if config.runtime.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def _loss(
    config: TrainConfig, data: SegmentationData, network: SegmentationNetwork
) -> SegmentationLoss:
    weights = config.loss.class_weights
    if weights is not None and len(weights) != data.labels.num_classes:
        raise SpecError(
            "configuration",
            [
                f"loss.class_weights: needs {data.labels.num_classes} numbers, one for each of "
                f"{', '.join(data.labels.names)}; given {len(weights)}"
            ],
        )
    return SegmentationLoss(
        config.loss,
        ignore_index=data.labels.ignore_index,
        class_weights=None if weights is None else torch.tensor(weights),
        aux_weights=network.aux_weights,
        scene_weight=network.scene_weight,
    )


def _loader(parts: Parts) -> DataLoader:
    """Return the batches of all steps that are left; its processes start once for the run."""
    config, fabric = parts.config, parts.fabric
    augmentation = build_augmentation(
        config.augment, crop=crop_size(config), ignore_index=parts.data.labels.ignore_index
    )
    workers = resolved(config.loader.num_workers)
    return DataLoader(
        CropDataset(parts.data, "train", augmentation, config.seed),
        batch_sampler=SampleStream(
            counts=crop_counts(config, survey(parts.data).sizes),
            batch_size=resolved(config.batch_size),
            seed=config.seed,
            start=parts.progress.step,
            stop=parts.total_steps,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
        ),
        num_workers=workers,
        prefetch_factor=config.loader.prefetch if workers else None,
        worker_init_fn=leave_signals_to_parent,
        pin_memory=fabric.device.type == "cuda",
        generator=torch.Generator().manual_seed(config.seed),
    )
