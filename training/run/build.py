"""Building the parts of a run: network, loss, step, batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.errors import SpecError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.registry import build_network
from maskzoo.models.spec import ModelSpec
from maskzoo.training.augment import build_augmentation
from maskzoo.training.config.losses import CrossEntropyTerm, DiceTerm, LossConfig
from maskzoo.training.config.section import resolved
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.feed.dataset import CropDataset, SegmentationData
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.runlog import RunLog
from maskzoo.training.loggers.sinks import open_sinks
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.planning.lengths import crop_counts, crop_size, run_lengths
from maskzoo.training.planning.memory import StepMemory, measure_step
from maskzoo.training.planning.survey import survey
from maskzoo.training.run.checkpoint import Checkpoint, Progress
from maskzoo.training.run.interrupt import leave_signals_to_parent
from maskzoo.training.run.loop import Parts, restore, step_seed
from maskzoo.training.run.warm_start import start_from
from maskzoo.training.steps.optim import WeightAverage, build_optimizer
from maskzoo.training.steps.range_test import RangeTest, run_range_test
from maskzoo.training.steps.step import TrainStep
from maskzoo.training.steps.stream import SampleStream

_RANGE_TEST_EPOCHS = 1_000_000  # its samples are those of epochs that no run reaches


def make_network(
    config: TrainConfig, data: SegmentationData, fabric: Fabric, display: Display, *, is_new: bool
) -> SegmentationNetwork:
    """Return the network on the device, with the weights that a new run starts from."""
    torch.manual_seed(config.seed)
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


def make_loss(
    config: TrainConfig, data: SegmentationData, network: SegmentationNetwork
) -> SegmentationLoss:
    """Return the loss on the network's device; terms and weights must be resolved."""
    weights = resolved(config.loss.class_weights)
    if weights is not None and len(weights) != data.labels.num_classes:
        raise SpecError(
            "configuration",
            [
                f"loss.class_weights: needs {data.labels.num_classes} numbers, one for each of "
                f"{', '.join(data.labels.names)}; given {len(weights)}"
            ],
        )
    loss = SegmentationLoss(
        config.loss,
        ignore_index=data.labels.ignore_index,
        class_weights=None if weights is None else torch.tensor(weights),
        aux_weights=network.aux_weights,
        scene_weight=network.scene_weight,
    )
    return loss.to(next(network.parameters()).device)


def measure(
    network: SegmentationNetwork, config: TrainConfig, data: SegmentationData
) -> StepMemory | None:
    """Measure the memory of a step; the crop size must be resolved."""
    terms = config.loss.terms
    if terms == "auto":  # the dearest of what the plan may choose
        terms = (CrossEntropyTerm(), DiceTerm())
    plain = LossConfig(terms=terms, class_weights=None)
    loss = make_loss(config.model_copy(update={"loss": plain}), data, network)
    device = next(network.parameters()).device
    return measure_step(network, loss, config, crop=crop_size(config), device=device)


def make_step(
    config: TrainConfig,
    data: SegmentationData,
    fabric: Fabric,
    network: SegmentationNetwork,
    optimizer: Optimizer,
    display: Display,
) -> TrainStep:
    """Return what takes the steps, around `network` and `optimizer` as Fabric wraps them."""
    module, fabric_optimizer = fabric.setup(network, optimizer)
    module.mark_forward_method("forward_train")
    return TrainStep(
        fabric,
        module,
        fabric_optimizer,
        make_loss(config, data, network),
        normalise=Normalise(
            network.encoder.mean,
            network.encoder.std,
            device=fabric.device,
            channels_last=bool(config.runtime.channels_last),
        ),
        clip_norm=config.optimizer.clip_norm,
        say=display.say,
    )


def try_rates(
    config: TrainConfig,
    data: SegmentationData,
    fabric: Fabric,
    network: SegmentationNetwork,
    display: Display,
    *,
    rule: float,
    steps: int,
) -> RangeTest:
    """Make the range test on a copy of `network`; all but the learning rate must be resolved."""
    display.say(f"range test of the learning rate: {steps} steps …")
    trial = copy.deepcopy(network)
    chosen = config.optimizer.model_copy(update={"lr": rule})
    optimizer = build_optimizer(trial, chosen)
    step = make_step(config, data, fabric, trial, optimizer, display)
    first = _RANGE_TEST_EPOCHS * sum(crop_counts(config, survey(data).sizes))
    first //= resolved(config.batch_size)
    batches = make_loader(config, data, fabric, start=first, stop=first + steps)
    return run_range_test(
        step,
        optimizer,
        _on_device(batches, fabric.device),
        rule=rule,
        steps=steps,
        micro_batch=resolved(config.runtime.micro_batch),
        seed_of=lambda number: step_seed(config.seed, first + number, fabric.global_rank),
    )


def _on_device(
    batches: DataLoader[tuple[Tensor, Tensor]], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    for images, target in batches:
        yield images.to(device), target.to(device)


def make_parts(
    config: TrainConfig,
    data: SegmentationData,
    run_dir: Path,
    fabric: Fabric,
    network: SegmentationNetwork,
    display: Display,
    checkpoint: Checkpoint | None,
    command: str,
) -> Parts:
    """Return all that the loop needs, where `checkpoint` stood if there is one."""
    average = WeightAverage(network, decay=config.ema) if config.ema else None
    optimizer = build_optimizer(network, config.optimizer)
    progress = Progress(micro_batch=resolved(config.runtime.micro_batch))
    if checkpoint is not None:
        restore(checkpoint, network, optimizer, average)
        progress = checkpoint.progress
    preprocessing = Preprocessing(
        mean=network.encoder.mean, std=network.encoder.std, train_size=crop_size(config)
    )
    evaluated = average.network if average else network
    steps_per_epoch, total_steps = run_lengths(config, survey(data).sizes)
    return Parts(
        config=config,
        data=data,
        run_dir=run_dir,
        fabric=fabric,
        network=network,
        optimizer=optimizer,
        average=average,
        step=make_step(config, data, fabric, network, optimizer, display),
        predictor=Predictor(evaluated, data.labels, preprocessing, device=str(fabric.device)),
        preprocessing=preprocessing,
        progress=progress,
        total_steps=total_steps,
        steps_per_epoch=steps_per_epoch,
        display=display,
        log=open_log(run_dir, config, step=progress.step) if fabric.is_global_zero else None,
        command=command,
    )


def open_log(run_dir: Path, config: TrainConfig, *, step: int) -> RunLog:
    """Return the log of a run that goes on at `step`, with all that it is handed on to."""
    sinks = open_sinks(run_dir, config.model_dump(mode="json"), config.track)
    return RunLog(run_dir / "log.jsonl", step=step, sinks=sinks)


def make_loader(
    config: TrainConfig, data: SegmentationData, fabric: Fabric, *, start: int, stop: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the batches of the steps from `start` to `stop`; its processes start once."""
    augmentation = build_augmentation(
        config.augment, crop=crop_size(config), ignore_index=data.labels.ignore_index
    )
    workers = resolved(config.loader.num_workers)
    cache_bytes = resolved(config.loader.cache_mib) << 20
    return DataLoader(
        CropDataset(
            data,
            "train",
            augmentation,
            config.seed,
            cache_bytes=cache_bytes // fabric.world_size,
            num_workers=workers,
        ),
        batch_sampler=SampleStream(
            counts=crop_counts(config, survey(data).sizes),
            batch_size=resolved(config.batch_size),
            seed=config.seed,
            start=start,
            stop=stop,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
        ),
        num_workers=workers,
        prefetch_factor=config.loader.prefetch if workers else None,
        worker_init_fn=_start_worker,
        pin_memory=fabric.device.type == "cuda",
        generator=torch.Generator().manual_seed(config.seed),
    )


def _start_worker(worker: int) -> None:
    """Keep a loader's process to one core, and out of the way of signals."""
    cv2.setNumThreads(0)
    leave_signals_to_parent(worker)
