"""Building the parts of a run: network, loss, step, batches."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Optimizer

from maskzoo.models.engines.graphs.device import open_device
from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.errors import SpecError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.registry import build_network
from maskzoo.models.spec import ModelSpec
from maskzoo.training.config.losses import CrossEntropyTerm, DiceTerm
from maskzoo.training.config.run_config import MachineConfig, RunConfig, RunLoss
from maskzoo.training.loggers.runlog import RunLog
from maskzoo.training.loggers.sinks import open_sinks
from maskzoo.training.losses.teacher import Teacher
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.planning.lengths import crop_counts, run_lengths
from maskzoo.training.planning.memory import Measure, StepMemory, measure_step
from maskzoo.training.run.checkpoint import RunCheckpoint, RunProgress, restore, restore_start
from maskzoo.training.run.parts import Parts, RunContext
from maskzoo.training.starts.bundle import start_from_bundle
from maskzoo.training.starts.start import Start, start_of_encoder
from maskzoo.training.steps.batches import Batches, make_batches
from maskzoo.training.steps.optim import WeightAverage, build_optimizer
from maskzoo.training.steps.passes import CapturedPasses, EagerPasses, Passes, compiled
from maskzoo.training.steps.range_test import RangeTest, run_range_test
from maskzoo.training.steps.step import TrainStep, step_seed

_RANGE_TEST_EPOCHS = 1_000_000  # offset of its samples, to epochs that no run reaches


def check_network(config: MachineConfig) -> None:
    """Build the network once without data, as reading these may take minutes.

    Raises:
        ZooError: a name or an option of the network is wrong.
    """
    build_network(_spec(config, num_classes=2, in_channels=3))


def _spec(config: MachineConfig, *, num_classes: int, in_channels: int) -> ModelSpec:
    model = config.model
    return ModelSpec.build(
        architecture=model.architecture,
        encoder=model.encoder,
        num_classes=num_classes,
        in_channels=in_channels,
        output_stride=model.output_stride,
        encoder_options=model.encoder_options,
        options=model.options,
        plugins=model.plugins,
    )


def make_network(
    config: MachineConfig, context: RunContext, *, is_new: bool
) -> tuple[SegmentationNetwork, Start | None]:
    """Return the network on the device, with the initial weights of a new run, and whence they are.

    None stands for weights at random, or those of the checkpoint of a run that goes on.
    """
    torch.manual_seed(config.seed)
    model, labels, fabric = config.model, context.data.labels, context.fabric
    bands = context.data.bands
    in_channels = 3 if bands is None else len(bands.channels)
    spec = _spec(config, num_classes=labels.num_classes, in_channels=in_channels)
    network = build_network(spec, encoder_weights=model.encoder_weights if is_new else None)
    start = start_of_encoder(network) if is_new else None
    if model.start_from and is_new:
        start = start_from_bundle(network, labels, model.start_from)
    if fabric.world_size > 1 and fabric.device.type == "cuda":  # it exists on no other device
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    network = network.to(fabric.device)
    if config.runtime.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network, start


def make_loss(config: RunLoss, labels: LabelSet, network: SegmentationNetwork) -> SegmentationLoss:
    """Return the loss on the network's device.

    Raises:
        SpecError: the number of class weights differs from that of the classes.
    """
    weights = config.class_weights
    if weights is not None and len(weights) != labels.num_classes:
        raise SpecError(
            "configuration",
            [
                f"loss.class_weights: needs {labels.num_classes} numbers, one for each of "
                f"{', '.join(labels.names)}; given {len(weights)}"
            ],
        )
    loss = SegmentationLoss(
        config.terms,
        ignore_index=labels.ignore_index,
        class_weights=None if weights is None else torch.tensor(weights),
        aux_weights=network.aux_weights,
        scene_weight=network.scene_weight,
        edge_terms=network.edge_terms,
    )
    return loss.to(next(network.parameters()).device)


def step_measure(
    network: SegmentationNetwork, labels: LabelSet, teacher: Teacher | None
) -> Measure:
    """Return the function that measures the memory of a training step of `network`."""

    def measure(config: MachineConfig, crop: tuple[int, int]) -> StepMemory | None:
        terms = config.loss.terms
        if terms == "auto":  # the most expensive terms that the plan may choose
            terms = (CrossEntropyTerm(), DiceTerm())
        loss = make_loss(RunLoss(terms=terms, class_weights=None), labels, network)
        device = next(network.parameters()).device
        return measure_step(network, loss, config, crop=crop, device=device, teacher=teacher)

    return measure


def make_step(
    config: RunConfig, context: RunContext, network: SegmentationNetwork, optimizer: Optimizer
) -> TrainStep:
    """Return the `TrainStep` of `network` and `optimizer`, wrapped by Fabric."""
    fabric = context.fabric
    module, fabric_optimizer = fabric.setup(network, optimizer)
    module.mark_forward_method("forward_train")
    kind = config.runtime.step
    eager = EagerPasses(
        fabric,
        module,
        compiled(network) if kind == "compiled" else module.forward_train,
        make_loss(config.loss, context.data.labels, network),
        normalise=Normalise(
            *_mean_and_std(context, network),
            device=fabric.device,
            channels_last=config.runtime.channels_last,
        ),
        teacher=context.teacher,
    )
    passes: Passes = eager
    if kind != "eager" and fabric.device.type == "cuda":
        passes = CapturedPasses(eager, open_device(fabric.device), notify=context.notify)
    return TrainStep(
        fabric,
        module,
        fabric_optimizer,
        passes,
        clip_norm=config.optimizer.clip_norm,
        notify=context.notify,
    )


def _mean_and_std(
    context: RunContext, network: SegmentationNetwork
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of the input: of the data's bands, else of the encoder's photos."""
    measured = context.data.preprocessing
    if measured is None:
        return network.encoder.mean, network.encoder.std
    return measured.mean, measured.std


def try_rates(
    config: RunConfig, context: RunContext, network: SegmentationNetwork, *, steps: int
) -> RangeTest:
    """Run the range test on a copy of `network`, around the rate of `config`."""
    context.notify(f"range test of the learning rate: {steps} steps …")
    trial = copy.deepcopy(network)
    optimizer = build_optimizer(trial, config.optimizer)
    step = make_step(config, context, trial, optimizer)
    first = _RANGE_TEST_EPOCHS * sum(_epoch_counts(config, context)) // config.batch_size
    batches = open_batches(config, context, start=first, stop=first + steps)
    return run_range_test(
        step,
        optimizer,
        _on_device(batches, context.fabric.device),
        rule=config.optimizer.lr,
        steps=steps,
        micro_batch=config.runtime.micro_batch,
        seed_of=lambda number: step_seed(config.seed, first + number, context.fabric.global_rank),
    )


def _on_device(batches: Batches, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    for images, target in batches:
        yield images.to(device), target.to(device)


def open_batches(config: RunConfig, context: RunContext, *, start: int, stop: int) -> Batches:
    """Return the batches of the steps from `start` to `stop`."""
    counts = _epoch_counts(config, context)
    return make_batches(config, context.data, context.fabric, counts=counts, start=start, stop=stop)


def _epoch_counts(config: RunConfig, context: RunContext) -> list[int]:
    """Return how often an epoch crops each training image."""
    return crop_counts(config.loader.crops_per_image, config.loader.crop, context.survey.sizes)


def make_parts(
    config: RunConfig,
    context: RunContext,
    network: SegmentationNetwork,
    checkpoint: RunCheckpoint | None,
) -> Parts:
    """Return all parts of the loop, in the state of `checkpoint` if there is one."""
    fabric, labels = context.fabric, context.data.labels
    if checkpoint is not None:
        restore_start(checkpoint, network)
    average = WeightAverage(network, decay=config.ema) if config.ema else None
    optimizer = build_optimizer(network, config.optimizer)
    progress = RunProgress(micro_batch=config.runtime.micro_batch)
    if checkpoint is not None:
        restore(checkpoint, network, optimizer, average)
        progress = checkpoint.progress
    mean, std = _mean_and_std(context, network)
    preprocessing = Preprocessing(
        mean=mean, std=std, train_size=config.loader.crop, bands=context.data.bands
    )
    evaluated = average.network if average else network
    return Parts(
        context=context,
        config=config,
        network=network,
        optimizer=optimizer,
        average=average,
        step=make_step(config, context, network, optimizer),
        predictor=Predictor(evaluated, labels, preprocessing, device=str(fabric.device)),
        preprocessing=preprocessing,
        progress=progress,
        lengths=run_lengths(config, context.survey.sizes),
        log=_open_log(config, context.run_dir, progress.step) if fabric.is_global_zero else None,
    )


def _open_log(config: RunConfig, run_dir: Path, step: int) -> RunLog:
    """Return the log of a run that continues at `step`, with all its sinks."""
    sinks = open_sinks(run_dir, config.model_dump(mode="json"), config.track)
    return RunLog(run_dir / "log.jsonl", step=step, sinks=sinks)
