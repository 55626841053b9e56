"""`train`: from a folder of images and masks to a bundle.

A run's folder holds:

    config.yaml         the configuration with every value resolved
    plan.json           what was decided from the data, and why
    range_test.json     the curve by which the learning rate was chosen
    log.jsonl           each step and each validation
    metrics.csv         a line for each validation
    tensorboard/        the same for TensorBoard
    last.ckpt           from which the run resumes; previous.ckpt is the one before
    best.safetensors    the weights of the best validation
    bundle/             the result: network, labels, preprocessing, metrics, provenance
    predictions.png     eight predictions beside the truth
    evaluation.json     the scores in full
    report.html         all of this for a person, in one file
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from pydantic import ValidationError

from maskzoo.models.bundles.records import BundleMetrics
from maskzoo.models.errors import DataError, SpecError, ZooError
from maskzoo.models.memory import keep_freed_memory
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.training.config.load import dump_config
from maskzoo.training.config.overrides import mistakes_in
from maskzoo.training.config.settings import BundleConfig, TrainConfig
from maskzoo.training.data.check.table import report_table
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import accept, inspect, open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.progress import progress_bar
from maskzoo.training.planning.decisions import Plan
from maskzoo.training.planning.lengths import run_lengths
from maskzoo.training.planning.memory import free_ram
from maskzoo.training.planning.plan import choose_machine, resolve, rule_of_thumb
from maskzoo.training.planning.survey import survey
from maskzoo.training.run.build import make_loader, make_network, make_parts, measure, try_rates
from maskzoo.training.run.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from maskzoo.training.run.finish import finish
from maskzoo.training.run.loop import LAST, Parts, TrainingLoop
from maskzoo.training.run.origin import flat_settings, run_command
from maskzoo.training.scoring.table import plan_table
from maskzoo.training.steps.range_test import range_test_steps

# What a resumed run may change without becoming another run.
_FREE_ON_RESUME = frozenset(
    {
        *("loader.num_workers", "loader.prefetch", "loader.cache_mib"),
        *("checkpoint_minutes", "max_bad_steps", "track"),
        *(f"bundle.{name}" for name in BundleConfig.model_fields),
    }
)


@dataclass(frozen=True)
class TrainResult:
    """What a finished run left.

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
    parts = prepare(data, config, run_dir=run_dir, resume=resume, display=display)
    run_steps(parts, until=parts.total_steps)
    return conclude(parts)


def prepare(
    data: Path,
    config: TrainConfig | None = None,
    *,
    run_dir: Path,
    resume: bool = False,
    display: Display | None = None,
    opened: SegmentationData | None = None,
) -> Parts:
    """Open or inspect the data, plan, and build what a run consists of.

    Args:
        data, config, run_dir, resume, display: as for `train`.
        opened: the data, where they are open already.

    Raises:
        ZooError: as `train`.
    """
    checkpoint = _checkpoint(run_dir, resume=resume)
    config = config or TrainConfig()
    command = checkpoint.command if checkpoint else ""
    command = command or run_command(sys.argv, data, config)
    display = display or Display()
    if checkpoint is not None:
        config = _resumed_config(checkpoint, config)
    if opened is None and checkpoint is None:
        opened = inspected(data, config, display)
    opened = opened or open_dataset(data, seed=config.seed, allow_bad=config.allow_bad)
    _check_data(opened, checkpoint)
    machine = choose_machine(config)
    fabric = _fabric(machine.config)
    display.enabled = display.enabled and fabric.is_global_zero
    network = make_network(machine.config, opened, fabric, display, is_new=checkpoint is None)
    if checkpoint is None:
        config = _planned(machine, opened, fabric, network, display, run_dir)
    if fabric.is_global_zero:
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    fabric.barrier()
    return make_parts(config, opened, run_dir, fabric, network, display, checkpoint, command)


def run_steps(parts: Parts, *, until: int) -> None:
    """Take the steps up to number `until`, validate, save, and close the log, however it ends.

    Raises:
        TrainingInterrupted: Ctrl-C or SIGTERM; the run is saved.
        ZooError: too many steps gave no number.
    """
    if parts.fabric.device.type == "cpu":
        keep_freed_memory()
    batches = make_loader(
        parts.config, parts.data, parts.fabric, start=parts.progress.step, stop=until
    )
    try:
        TrainingLoop(parts, until=until).run(batches)
    finally:
        if parts.log is not None:
            parts.log.close()


def conclude(parts: Parts) -> TrainResult:
    """Score the best weights and write bundle and report (rank 0)."""
    result = finish(parts) if parts.fabric.is_global_zero else None
    parts.fabric.barrier()
    bundle, metrics = result or (parts.run_dir / "bundle", BundleMetrics())
    return TrainResult(bundle, metrics, parts.run_dir)


def inspected(data: Path, config: TrainConfig, display: Display) -> SegmentationData:
    """Inspect the data and show what it holds; a new run stops here if it is not good enough."""
    with progress_bar("reading images and masks") as on_progress:
        inspection = inspect(data, seed=config.seed, on_progress=on_progress)
    is_first = int(os.environ.get("LOCAL_RANK", "0")) == 0
    try:
        opened = accept(inspection, allow_bad=config.allow_bad)
    except DataError:  # it tells the errors itself
        if is_first:
            display.say(report_table(inspection, verdict=False, errors=False))
        raise
    if is_first:
        display.say(report_table(inspection, verdict=False))
    for note in opened.notes[len(inspection.findings.notes) :] if is_first else ():
        display.say(note)
    return opened


def _planned(
    machine: Plan,
    data: SegmentationData,
    fabric: Fabric,
    network: SegmentationNetwork,
    display: Display,
    run_dir: Path,
) -> TrainConfig:
    """Resolve what is left, show the plan, keep it in `plan.json`; all ranks take rank 0's."""
    plan = resolve(
        machine,
        survey(data),
        measure=lambda config: measure(network, config, data),
        free_ram=free_ram(),
    )
    plan = fabric.broadcast(plan)
    if plan.config.optimizer.lr == "auto":
        rule, why = rule_of_thumb(plan.config)
        steps = range_test_steps(run_lengths(plan.config, survey(data).sizes)[1])
        if steps:
            tested = try_rates(plan.config, data, fabric, network, display, rule=rule, steps=steps)
            rule, why = tested.lr, tested.why
            _keep(run_dir, "range_test.json", asdict(tested), fabric)
        else:
            why += "; the run is too short for a range test"
        plan = fabric.broadcast(plan.decided("optimizer.lr", rule, why))
    display.say(plan_table(plan.decisions))
    _keep(run_dir, "plan.json", [asdict(decision) for decision in plan.decisions], fabric)
    return plan.config


def _keep(run_dir: Path, name: str, content: Any, fabric: Fabric) -> None:
    if fabric.is_global_zero:
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


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
        first = mistakes_in(error, TrainConfig)[0]
        raise CheckpointError(
            f"the run was begun by another version of maskzoo: {first}; "
            "go on with that version, or start the run again"
        ) from None
    known = flat_settings(stored)
    mistakes = []
    for key, value in flat_settings(given.model_dump(mode="json", exclude_unset=True)).items():
        if key in known and value in ("auto", "rule", known[key]):
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
