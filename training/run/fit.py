"""`train`: from a folder of images and masks to a bundle.

A run's folder holds:

    config.yaml         the configuration with every value resolved
    plan.json           the decisions, with reasons
    encoder_weights.json  the weights that the encoder started from
    teacher.json        the network that taught the run, if one did
    start.json          which tensors came from where, if the run started from trained weights
    range_test.json     the curve by which the learning rate was chosen
    log.jsonl           each step and each validation
    metrics.csv         a line for each validation
    tensorboard/        the same for TensorBoard
    last.ckpt           from which the run resumes; previous.ckpt is the one before
    validation.npz      counts of each image of the last validation (one process)
    best.safetensors    the weights of the best validation
    bundle/             the result: network, labels, preprocessing, metrics, provenance
    predictions.png     eight predictions beside the truth
    evaluation.json     the scores in full
    report.html         all of this for a person, in one file
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.records import BundleMetrics
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.memory import keep_freed_memory
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.weights.source import check_source
from maskzoo.training.config.load import dump_config
from maskzoo.training.config.run_config import MachineConfig, MachineRuntime, RunConfig
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.loggers.display import Display
from maskzoo.training.planning.lengths import run_lengths
from maskzoo.training.planning.machine import choose_machine
from maskzoo.training.planning.memory import free_ram
from maskzoo.training.planning.plan import resolve
from maskzoo.training.planning.run_plan import RunPlan
from maskzoo.training.planning.survey import survey
from maskzoo.training.planning.table import plan_table
from maskzoo.training.report.page import ReportCollector, write_report
from maskzoo.training.report.predictions import draw_predictions
from maskzoo.training.report.run import EVALUATION
from maskzoo.training.run.build import (
    check_network,
    make_network,
    make_parts,
    open_batches,
    step_measure,
    try_rates,
)
from maskzoo.training.run.finish import (
    bundle_folder,
    export_draft,
    finish_bundle,
    score_draft,
    scored_split,
    write_draft,
)
from maskzoo.training.run.interrupt import TrainingInterrupted, interrupting
from maskzoo.training.run.loop import TrainingLoop
from maskzoo.training.run.opening import add_unlabelled, check_data, open_data
from maskzoo.training.run.origin import keep_weights_origin, resume_command, run_command
from maskzoo.training.run.parts import Parts, RunContext
from maskzoo.training.run.resume import find_checkpoint, resumed_config
from maskzoo.training.scoring.table import evaluation_table
from maskzoo.training.starts.start import keep_start, start_table
from maskzoo.training.starts.teacher import check_teacher, keep_teacher, open_teacher
from maskzoo.training.steps.range_test import range_test_steps


@dataclass(frozen=True)
class TrainResult:
    """The result of a finished run.

    Attributes:
        metrics: of the bundle.
    """

    bundle: Path
    metrics: BundleMetrics
    run_dir: Path


def train(
    data: Path,
    config: TrainConfig | None = None,
    *,
    run_dir: Path,
    resume: bool = False,
    display: Display | None = None,
    command: str = "",
) -> TrainResult:
    """Train a network on the data at `data` and return its bundle.

    Args:
        config: None takes the defaults, or with `resume` the run's own configuration.
        run_dir: the run's folder; created if missing.
        resume: continue the run in `run_dir`.
        display: shows progress. If several processes train together, all but the first are
            silent once they know of each other.
        command: that started the run, for its bundle; by default derived from `config`.

    Raises:
        ZooError: data, configuration or checkpoint are wrong; the message says what to do.
        TrainingInterrupted: Ctrl-C or SIGTERM; the run is saved.
    """
    parts = prepare(data, config, run_dir=run_dir, resume=resume, display=display, command=command)
    run_steps(parts, until=parts.lengths.total_steps)
    return conclude(parts)


def prepare(
    data: Path,
    config: TrainConfig | None = None,
    *,
    run_dir: Path,
    resume: bool = False,
    display: Display | None = None,
    command: str = "",
    opened: SegmentationData | None = None,
) -> Parts:
    """Open or inspect the data, plan, and build the parts of a run.

    Args:
        data, config, run_dir, resume, display, command: as for `train`.
        opened: the data, if already open.

    Raises:
        ZooError: as `train`.
    """
    asked, display = config or TrainConfig(), display or Display()
    checkpoint = find_checkpoint(run_dir, resume=resume)
    stored = None if checkpoint is None else resumed_config(checkpoint, asked)
    if checkpoint is not None and checkpoint.command:
        command = checkpoint.command
    machine: RunPlan[MachineConfig] = RunPlan(stored) if stored else choose_machine(asked)
    if stored is None:  # reading the data may take minutes, so other errors are raised first
        _check_sources(machine.config)
        if opened is None:
            check_network(machine.config)
    opened = opened or open_data(data, stored or asked, display, is_new=stored is None)
    opened = add_unlabelled(opened, machine.config.teacher.images, display)
    check_data(opened, checkpoint)
    fabric = _launch(machine.config.runtime)
    display.enabled = display.enabled and fabric.is_global_zero
    context = RunContext(
        data=opened,
        survey=survey(opened),
        run_dir=run_dir,
        fabric=fabric,
        display=display,
        command=command or run_command([], data, asked),
        teacher=open_teacher(
            machine.config.teacher,
            opened.labels,
            opened.bands,
            device=fabric.device,
            channels_last=machine.config.runtime.channels_last,
        ),
    )
    check_teacher(run_dir, context.teacher)
    network, start = make_network(machine.config, context, is_new=checkpoint is None)
    run_config = stored or _planned(machine, context, network)
    if fabric.is_global_zero:
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / "config.yaml").write_text(dump_config(run_config), encoding="utf-8")
        if network.encoder.origin is not None:
            keep_weights_origin(run_dir, network.encoder.origin)
        if context.teacher is not None:
            keep_teacher(run_dir, context.teacher.origin)
            context.notify(f"taught by bundle {context.teacher.origin.describe()}")
    fabric.barrier()
    parts = make_parts(run_config, context, network, checkpoint)
    if start is not None:
        context.notify(start_table(start, network, parts.optimizer))
        if fabric.is_global_zero:
            keep_start(run_dir, start)
    return parts


def _check_sources(config: MachineConfig) -> None:
    """Raise if the trained weights that a run takes do not exist."""
    check_source(config.model.encoder_weights, config.model.encoder)
    if config.teacher.bundle is not None:
        read_manifest(find_bundle(config.teacher.bundle))


def run_steps(parts: Parts, *, until: int) -> None:
    """Take the steps up to `until`, validate and save; close the log in any case.

    Raises:
        TrainingInterrupted: Ctrl-C or SIGTERM; the run is saved.
        ZooError: too many steps gave a loss or gradient that is not finite.
    """
    if parts.context.fabric.device.type == "cpu":
        keep_freed_memory()
    batches = open_batches(parts.config, parts.context, start=parts.progress.step, stop=until)
    try:
        TrainingLoop(parts, until=until).run(batches)
    finally:
        if parts.log is not None:
            parts.log.close()


def conclude(parts: Parts) -> TrainResult:
    """Score the best weights and write bundle and report (rank 0).

    Raises:
        TrainingInterrupted: Ctrl-C or SIGTERM; resuming the run scores again and writes the bundle.
    """
    context = parts.context
    result = TrainResult(context.run_dir / "bundle", BundleMetrics(), context.run_dir)
    if context.fabric.is_global_zero:
        command = resume_command(context.data.root, context.run_dir)
        try:
            with interrupting(command):
                result = _conclude(parts)
        except TrainingInterrupted:
            context.notify(f"stopped after the last step, before all was written: {command}")
            raise
    context.fabric.barrier()
    return result


def _conclude(parts: Parts) -> TrainResult:
    context, run_dir = parts.context, parts.context.run_dir
    collector = ReportCollector(context.data.labels)
    draft = write_draft(parts)
    export_draft(parts, draft)
    predictor, evaluation = score_draft(parts, draft, on_scored=collector)
    predictions = run_dir / "predictions.png"
    draw_predictions(predictions, predictor, context.data, split=scored_split(context.data))
    metrics = finish_bundle(parts, draft, evaluation)
    bundle = bundle_folder(parts)
    details = json.dumps(evaluation.to_json(), indent=1)
    (run_dir / EVALUATION).write_text(details, encoding="utf-8")
    report = write_report(run_dir, evaluation, collector)
    context.notify(evaluation_table(evaluation))
    context.notify(f"bundle: {bundle}\npredictions: {predictions}\nreport: {report}")
    return TrainResult(bundle, metrics, run_dir)


def _planned(
    machine: RunPlan[MachineConfig], context: RunContext, network: SegmentationNetwork
) -> RunConfig:
    """Decide the remaining values, show and write the plan; all ranks use rank 0's."""
    fabric = context.fabric
    plan = resolve(
        machine,
        context.survey,
        measure=step_measure(network, context.data.labels, context.teacher),
        free_ram=free_ram(),
    )
    plan = fabric.broadcast(plan)
    if machine.config.optimizer.lr == "auto":
        plan = fabric.broadcast(_with_tested_rate(plan, context, network))
    context.notify(plan_table(plan.decisions))
    _keep(context, "plan.json", [asdict(decision) for decision in plan.decisions])
    return plan.config


def _with_tested_rate(
    plan: RunPlan[RunConfig], context: RunContext, network: SegmentationNetwork
) -> RunPlan[RunConfig]:
    """Return the plan with the learning rate of a range test, if the run is long enough for one."""
    key = "optimizer.lr"
    steps = range_test_steps(run_lengths(plan.config, context.survey.sizes).total_steps)
    if not steps:
        rule = next(decision for decision in plan.decisions if decision.key == key)
        why = f"{rule.why}; the run is too short for a range test"
        return plan.revised(key, rule.value, why)
    tested = try_rates(plan.config, context, network, steps=steps)
    _keep(context, "range_test.json", asdict(tested))
    return plan.revised(key, tested.lr, tested.why)


def _keep(context: RunContext, name: str, content: Any) -> None:
    """Write a JSON file into the run's folder (rank 0)."""
    if context.fabric.is_global_zero:
        context.run_dir.mkdir(parents=True, exist_ok=True)
        (context.run_dir / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _launch(runtime: MachineRuntime) -> Fabric:
    """Return Fabric on the run's devices; it starts the other processes if there are several."""
    if runtime.deterministic:
        torch.use_deterministic_algorithms(True)
    if runtime.accelerator != "cpu" and torch.cuda.is_available():
        # TF32 for what stays in float32. Unset, Lightning prints a hint into our output.
        torch.set_float32_matmul_precision("high")
    # Lightning tells its precision on its own; the plan says it with its reason.
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=runtime.accelerator,
        devices=runtime.devices,
        num_nodes=runtime.num_nodes,
        precision="bf16-mixed" if runtime.precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric
