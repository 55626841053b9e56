"""The training loop: steps, validations, checkpoints, and recovery.

Random numbers of a step (dropout) are seeded from (seed, step, rank), samples from
(seed, epoch, index), rates from the step. So a checkpoint needs no generator states: with weights,
optimizer, average and step number a resumed run is bit for bit the one that was not stopped.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import safetensors.torch
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from maskzoo.models.errors import ZooError
from maskzoo.models.files import replacing
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.training.config.section import resolved
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.loggers.display import Display, Status
from maskzoo.training.loggers.runlog import RunLog
from maskzoo.training.run.checkpoint import Checkpoint, Progress, read_checkpoint, write_checkpoint
from maskzoo.training.run.interrupt import StopRequest, TrainingInterrupted
from maskzoo.training.scoring.evaluate import count_pixels
from maskzoo.training.scoring.metrics import ConfusionMatrix
from maskzoo.training.scoring.sparing import SparingPredictor
from maskzoo.training.steps.optim import WeightAverage, lr_factor, set_lr, train_mode
from maskzoo.training.steps.pace import Pace
from maskzoo.training.steps.step import StepResult, TrainStep

LAST = "last.ckpt"
BEST = "best.safetensors"
_SMOOTHING = 0.97  # of the loss that is shown


@dataclass
class Parts:
    """What a run consists of, built by `training.run.fit`.

    Attributes:
        network: the bare network; `step` holds it wrapped by Fabric.
        average: the running mean of its weights, or None.
        predictor: around the network that is validated.
        total_steps, steps_per_epoch: lengths.
        command: by which the run was started.
    """

    config: TrainConfig
    data: SegmentationData
    run_dir: Path
    fabric: Fabric
    network: SegmentationNetwork
    optimizer: Optimizer
    average: WeightAverage | None
    step: TrainStep
    predictor: Predictor
    preprocessing: Preprocessing
    progress: Progress
    total_steps: int
    steps_per_epoch: int
    display: Display
    log: RunLog | None
    command: str

    @property
    def evaluated(self) -> SegmentationNetwork:
        """The network that is validated and stored."""
        return self.average.network if self.average else self.network


class TrainingLoop:
    """Run `parts` from where its progress stands.

    Args:
        until: the step at which to pause, validated and saved; the last one if not given.
    """

    def __init__(self, parts: Parts, *, until: int | None = None) -> None:
        self.parts = parts
        self.until = parts.total_steps if until is None else min(until, parts.total_steps)
        self.progress = parts.progress
        self.status = Status(
            parts.progress.step, parts.total_steps, parts.progress.step / parts.steps_per_epoch
        )
        self.status.mean_iou = parts.progress.best_score
        self._sparing = SparingPredictor(parts.predictor, parts.display.say)
        self._pace = Pace()
        self._saved_at = time.monotonic()

    def run(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take all steps that are left.

        Raises:
            TrainingInterrupted: Ctrl-C or SIGTERM; the run is saved.
            ZooError: too many steps gave no number.
        """
        parts = self.parts
        if self.is_finished:  # a resumed run that only lacks its bundle
            return
        if self.progress.step == 0:  # known to all ranks alike, as the file's existence is not
            self.save()
        train_mode(parts.network)
        parts.display.start(self.status)
        try:
            with StopRequest() as stop:
                for images, target in self._pace.waiting(batches):
                    self._advance(images, target)
                    self._validate_and_save()
                    if self._agreed(stop.requested) and not self.is_finished:
                        self._leave()
                    if self.is_finished:
                        break
        finally:
            parts.display.stop()

    @property
    def is_finished(self) -> bool:
        """Whether the last step is done or validations have stopped improving."""
        patience = self.parts.config.early_stop
        return self.progress.step >= self.until or (
            patience is not None and self.progress.stale >= patience
        )

    def _advance(self, images: Tensor, target: Tensor) -> None:
        parts, progress = self.parts, self.progress
        device = parts.fabric.device
        factor = lr_factor(progress.step, parts.total_steps, parts.config.schedule)
        set_lr(parts.optimizer, factor * progress.lr_scale)
        result = parts.step(
            images.to(device, non_blocking=True),
            target.to(device, non_blocking=True),
            micro_batch=progress.micro_batch,
            seed=step_seed(parts.config.seed, progress.step, parts.fabric.global_rank),
        )
        progress.micro_batch = result.micro_batch
        progress.step += 1
        if result.is_finite:
            if parts.average is not None:
                parts.average.update(parts.network, step=progress.step - 1)
        else:
            self._recover(images, target, result)
        self._report(result, len(images) * parts.fabric.world_size)

    def _report(self, result: StepResult, num_images: int) -> None:
        status, progress, parts = self.status, self.progress, self.parts
        self._pace.count(num_images)
        status.step = progress.step
        status.epoch = progress.step / parts.steps_per_epoch
        status.images_per_s = self._pace.images_per_s
        status.wait_share = self._pace.wait_share
        if result.is_finite:
            before = result.loss if status.loss is None else status.loss
            status.loss = _SMOOTHING * before + (1 - _SMOOTHING) * result.loss
        parts.display.update(status)
        if parts.log is not None:
            parts.log.write(
                "train",
                progress.step,
                loss=result.loss if result.is_finite else None,
                parts=result.parts if result.is_finite else None,
                lr=[group["lr"] for group in parts.optimizer.param_groups],
                images_per_s=round(status.images_per_s, 2),
                wait_share=round(status.wait_share, 4),
            )

    def _recover(self, images: Tensor, target: Tensor, result: StepResult) -> None:
        """Keep the batch, go back to the last checkpoint's weights, halve the rate."""
        parts, progress = self.parts, self.progress
        progress.bad_steps += 1
        progress.lr_scale /= 2
        kept = parts.run_dir / f"bad_batch_{progress.step}_rank{parts.fabric.global_rank}.pt"
        torch.save({"images": images, "target": target}, kept)
        checkpoint = read_checkpoint(parts.run_dir / LAST)
        restore(checkpoint, parts.network, parts.optimizer, parts.average)
        limit = parts.config.max_bad_steps
        parts.display.say(
            f"step {progress.step} gave a loss or gradient that is no number (loss "
            f"{result.loss}); weights are back at step {checkpoint.progress.step}, the learning "
            f"rate is halved, the batch is kept in {kept.name} "
            f"({progress.bad_steps} of at most {limit} such steps)"
        )
        if progress.bad_steps >= limit:
            raise ZooError(
                f"gave up after {limit} steps without a number: lower optimizer.lr, set "
                f"runtime.precision=fp32, or look at {kept}"
            )

    def _validate_and_save(self) -> None:
        parts, progress = self.parts, self.progress
        every = resolved(parts.config.validate_every) * parts.steps_per_epoch
        due = progress.step % every == 0 or progress.step == self.until
        if due:
            with self._pace.pause():
                self._validate()
        late = time.monotonic() - self._saved_at > 60 * parts.config.checkpoint_minutes
        if due or (late and parts.fabric.world_size == 1):
            self.save()

    def _validate(self) -> None:
        parts, progress = self.parts, self.progress
        scores = self._count().scores(parts.data.labels.names)
        score = scores.mean_iou or 0.0
        if progress.best_score is None or score > progress.best_score:
            progress.best_score, progress.best_step, progress.stale = score, progress.step, 0
            if parts.fabric.is_global_zero:
                write_weights(parts.run_dir / BEST, parts.evaluated)
        else:
            progress.stale += 1
        self.status.mean_iou = score
        parts.display.say(
            f"step {progress.step}: validation mean IoU {score:.4f} over {scores.classes_counted} "
            f"classes, best {progress.best_score:.4f} at step {progress.best_step}"
        )
        if parts.log is not None:
            parts.log.write("val", progress.step, **scores.to_json())

    def _count(self) -> ConfusionMatrix:
        """Return the confusion matrix of the validation split, each rank's share added up."""
        parts = self.parts
        fabric = parts.fabric
        samples = parts.data.samples("val")[fabric.global_rank :: fabric.world_size]
        parts.evaluated.eval()
        matrix = count_pixels(self._sparing, parts.data, samples)
        train_mode(parts.network)
        if fabric.world_size > 1:
            counts = torch.from_numpy(matrix.counts).to(fabric.device)
            matrix.counts = cast(Tensor, fabric.all_reduce(counts, reduce_op="sum")).cpu().numpy()
        return matrix

    def save(self) -> None:
        """Write the checkpoint (rank 0)."""
        parts = self.parts
        self._saved_at = time.monotonic()
        if parts.fabric.is_global_zero:
            write_checkpoint(
                parts.run_dir / LAST,
                Checkpoint(
                    model=parts.network.state_dict(),
                    ema=parts.average.network.state_dict() if parts.average else {},
                    optimizer=parts.optimizer.state_dict(),
                    progress=parts.progress,
                    config=parts.config.model_dump(mode="json"),
                    fingerprint=parts.data.fingerprint,
                    versions={"torch": str(torch.__version__)},
                    command=parts.command,
                ),
            )
        parts.fabric.barrier()

    def _leave(self) -> None:
        self.save()
        command = resume_command(self.parts.data.root, self.parts.run_dir)
        self.parts.display.say(f"stopped at step {self.progress.step}; to go on: {command}")
        raise TrainingInterrupted(command)

    def _agreed(self, requested: bool) -> bool:
        """Return whether any rank was asked to stop, so that all stop at the same step."""
        fabric = self.parts.fabric
        if fabric.world_size == 1:
            return requested
        wish = torch.tensor(float(requested), device=fabric.device)
        return bool(cast(Tensor, fabric.all_reduce(wish, reduce_op="sum")) > 0)


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of the random numbers that the network draws in one step."""
    digest = hashlib.sha256(f"{seed}/{step}/{rank}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def restore(
    checkpoint: Checkpoint,
    network: SegmentationNetwork,
    optimizer: Optimizer,
    average: WeightAverage | None,
) -> None:
    """Put a checkpoint's tensors into place."""
    network.load_state_dict(checkpoint.model)
    optimizer.load_state_dict(checkpoint.optimizer)
    if average is not None:
        average.network.load_state_dict(checkpoint.ema)


def write_weights(path: Path, network: SegmentationNetwork) -> None:
    """Write the weights atomically as safetensors."""
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    with replacing(path) as part:
        safetensors.torch.save_file(tensors, part)


def resume_command(data: Path, run_dir: Path) -> str:
    """Return the command that goes on with a run."""
    return f"maskzoo train {shlex.quote(str(data))} --out {shlex.quote(str(run_dir))} --resume"
