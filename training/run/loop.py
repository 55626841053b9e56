"""The training loop: steps, validations, checkpoints, and recovery.

Random numbers of a step (dropout) are seeded from (seed, step, rank), samples from
(seed, epoch, index), rates from the step. So a checkpoint needs no generator states: with weights,
optimizer, average and step number, a resumed run is bit for bit equal to an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from torch import Tensor

from maskzoo.models.errors import ZooError
from maskzoo.training.loggers.display import Status
from maskzoo.training.run.checkpoint import (
    BEST,
    LAST,
    RunCheckpoint,
    read_run_checkpoint,
    restore,
    write_run_checkpoint,
    write_weights,
)
from maskzoo.training.run.interrupt import StopRequest, TrainingInterrupted
from maskzoo.training.run.origin import resume_command
from maskzoo.training.run.parts import Parts
from maskzoo.training.scoring.bootstrap import ImageCounts, margins
from maskzoo.training.scoring.evaluate import count_pixels
from maskzoo.training.scoring.metrics import ConfusionMatrix
from maskzoo.training.scoring.sparing import SparingPredictor
from maskzoo.training.steps.optim import lr_factor, set_lr, train_mode
from maskzoo.training.steps.pace import Pace
from maskzoo.training.steps.step import StepResult, step_seed

VALIDATION = "validation.npz"
"""Counts of each image of the last validation, beside the checkpoint of a single process."""

_SMOOTHING = 0.97  # of the loss that is shown


class TrainingLoop:
    """Runs `parts` from their current progress.

    Args:
        until: the step at which to pause, validated and saved; by default the last one.
    """

    def __init__(self, parts: Parts, *, until: int | None = None) -> None:
        total_steps = parts.lengths.total_steps
        self.parts = parts
        self.context = parts.context
        self.progress = parts.progress
        self.until = total_steps if until is None else min(until, total_steps)
        self.status = Status(
            self.progress.step, total_steps, self.progress.step / parts.lengths.steps_per_epoch
        )
        self.status.mean_iou = self.progress.best_score
        self._sparing = SparingPredictor(parts.predictor, self.context.notify)
        self._pace = Pace()
        self._saved_at = time.monotonic()

    def run(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take all remaining steps.

        Raises:
            TrainingInterrupted: Ctrl-C or SIGTERM; the run is saved.
            ZooError: too many steps gave a loss or gradient that is not finite.
        """
        if self.is_finished:  # a resumed run in which only the bundle is missing
            return
        if self.progress.step == 0:  # known to all ranks, unlike the file's existence
            self.save()
        train_mode(self.parts.network)
        display = self.context.display
        display.start(self.status)
        try:
            with StopRequest() as stop:
                for images, target in self._pace.waiting(batches):
                    self._advance(images, target)
                    self._validate_and_save()
                    if self._agreed(stop.requested):
                        self._leave()
                    if self.is_finished:
                        break
        finally:
            display.stop()

    @property
    def is_finished(self) -> bool:
        """Whether the last step is done or validations have stopped improving."""
        patience = self.parts.config.early_stop
        return self.progress.step >= self.until or (
            patience is not None and self.progress.stale >= patience
        )

    def _advance(self, images: Tensor, target: Tensor) -> None:
        parts, progress, fabric = self.parts, self.progress, self.context.fabric
        factor = lr_factor(progress.step, parts.lengths.total_steps, parts.config.schedule)
        set_lr(parts.optimizer, factor * progress.lr_scale)
        result = parts.step(
            images.to(fabric.device, non_blocking=True),
            target.to(fabric.device, non_blocking=True),
            micro_batch=progress.micro_batch,
            seed=step_seed(parts.config.seed, progress.step, fabric.global_rank),
        )
        progress.micro_batch = result.micro_batch
        progress.step += 1
        if not result.is_finite:
            self._recover(images, target, result)
        elif parts.average is not None:
            parts.average.update(parts.network, step=progress.step - 1)
        self._report(result, len(images) * fabric.world_size)

    def _report(self, result: StepResult, num_images: int) -> None:
        status, progress, parts = self.status, self.progress, self.parts
        self._pace.count(num_images)
        status.step = progress.step
        status.epoch = progress.step / parts.lengths.steps_per_epoch
        status.images_per_s = self._pace.images_per_s
        status.wait_fraction = self._pace.wait_fraction
        if result.is_finite:
            before = result.loss if status.loss is None else status.loss
            status.loss = _SMOOTHING * before + (1 - _SMOOTHING) * result.loss
        self.context.display.update(status)
        if parts.log is not None:
            parts.log.write(
                "train",
                progress.step,
                loss=result.loss if result.is_finite else None,
                parts=result.parts if result.is_finite else None,
                lr=[group["lr"] for group in parts.optimizer.param_groups],
                images_per_s=round(status.images_per_s, 2),
                wait_fraction=round(status.wait_fraction, 4),
            )

    def _recover(self, images: Tensor, target: Tensor, result: StepResult) -> None:
        """Save the batch, return to the last checkpoint's weights, halve the rate.

        The step number is kept: the bad batch is not seen again, and the schedule continues. Only
        weights, optimizer and average are those of the checkpoint.
        """
        parts, progress, run_dir = self.parts, self.progress, self.context.run_dir
        progress.bad_steps += 1
        progress.lr_scale /= 2
        kept = run_dir / f"bad_batch_{progress.step}_rank{self.context.fabric.global_rank}.pt"
        torch.save({"images": images, "target": target}, kept)
        checkpoint = read_run_checkpoint(run_dir / LAST)
        restore(checkpoint, parts.network, parts.optimizer, parts.average)
        limit = parts.config.max_bad_steps
        self.context.notify(
            f"step {progress.step} gave a loss or gradient that is not finite (loss "
            f"{result.loss}); weights are back at step {checkpoint.progress.step}, the learning "
            f"rate is halved, the batch is kept in {kept.name} "
            f"({progress.bad_steps} of at most {limit} such steps)"
        )
        if progress.bad_steps >= limit:
            raise ZooError(
                f"gave up after {limit} steps whose loss or gradient was not finite: lower "
                f"optimizer.lr, set runtime.precision=fp32, or inspect {kept}"
            )

    def _validate_and_save(self) -> None:
        config, progress = self.parts.config, self.progress
        every = config.validate_every * self.parts.lengths.steps_per_epoch
        is_due = progress.step % every == 0 or progress.step == self.until
        if is_due:
            with self._pace.pause():
                self._validate()
        is_late = time.monotonic() - self._saved_at > 60 * config.checkpoint_minutes
        # Clocks differ between ranks, so several ranks save only after a validation, together.
        if is_due or (is_late and self.context.fabric.world_size == 1):
            self.save()

    def _validate(self) -> None:
        parts, progress = self.parts, self.progress
        scores = self._count().scores(self.context.data.labels.names)
        score = scores.mean_iou or 0.0
        if progress.best_score is None or score > progress.best_score:
            progress.best_score, progress.best_step, progress.stale = score, progress.step, 0
            if self.context.fabric.is_global_zero:
                write_weights(self.context.run_dir / BEST, parts.evaluated)
        else:
            progress.stale += 1
        self.status.mean_iou = score
        self.context.notify(
            f"step {progress.step}: validation mean IoU {score:.4f} over {scores.classes_counted} "
            f"classes in its masks, best {progress.best_score:.4f} at step {progress.best_step}"
        )
        if parts.log is not None:
            parts.log.write("val", progress.step, **scores.to_json())

    def _count(self) -> ConfusionMatrix:
        """Return the confusion matrix of the validation split, summed over all ranks."""
        parts, data, fabric = self.parts, self.context.data, self.context.fabric
        samples = data.samples("val")[fabric.global_rank :: fabric.world_size]
        parts.evaluated.eval()
        images: list[np.ndarray] = []
        matrix = count_pixels(
            self._sparing, data, samples, on_counts=lambda one: images.append(margins(one))
        )
        train_mode(parts.network)
        if fabric.world_size > 1:
            counts = torch.from_numpy(matrix.counts).to(fabric.device)
            matrix.counts = cast(Tensor, fabric.all_reduce(counts, reduce_op="sum")).cpu().numpy()
        elif images:
            ImageCounts(*np.stack(images, axis=1)).save(self.context.run_dir / VALIDATION)
        return matrix

    def save(self) -> None:
        """Write the checkpoint (rank 0)."""
        parts, context = self.parts, self.context
        self._saved_at = time.monotonic()
        if context.fabric.is_global_zero:
            write_run_checkpoint(
                context.run_dir / LAST,
                RunCheckpoint(
                    model=parts.network.state_dict(),
                    ema=parts.average.network.state_dict() if parts.average else {},
                    optimizer=parts.optimizer.state_dict(),
                    progress=parts.progress,
                    config=parts.config.model_dump(mode="json"),
                    fingerprint=context.data.fingerprint,
                    versions={"torch": str(torch.__version__)},
                    command=context.command,
                    trained=tuple(sorted(parts.network.trained)),
                    mean=parts.network.encoder.mean,
                    std=parts.network.encoder.std,
                ),
            )
        context.fabric.barrier()

    def _leave(self) -> None:
        self.save()
        command = resume_command(self.context.data.root, self.context.run_dir)
        self.context.notify(f"stopped at step {self.progress.step}; to go on: {command}")
        raise TrainingInterrupted(command)

    def _agreed(self, requested: bool) -> bool:
        """Return whether any rank got a signal, so that all stop at the same step."""
        fabric = self.context.fabric
        if fabric.world_size == 1:
            return requested
        votes = torch.tensor(float(requested), device=fabric.device)
        return bool(cast(Tensor, fabric.all_reduce(votes, reduce_op="sum")) > 0)
