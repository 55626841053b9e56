"""One optimizer step: micro-batches, out-of-memory recovery, non-finite values.

The step's batch (N, 3, H, W) goes through the network in micro-batches; the gradient is their
mean, weighted by their number of images. When memory runs out, the micro-batch is halved and the
step starts over as if it had always been that small; the effective batch and the schedule do not
change. Only quantities over a micro-batch, the statistics of batch norms and the sums in Dice, see
fewer images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from maskzoo.models.errors import ZooError, counted
from maskzoo.models.memory import is_out_of_memory
from maskzoo.training.steps.passes import Passes, fraction_of


@dataclass(frozen=True)
class StepResult:
    """The result of one step.

    Attributes:
        loss: mean over the batch and all ranks; NaN or infinite if the step was not taken.
        parts: the loss's parts on this rank.
        is_finite: whether loss and gradient were finite; if not, the weights are unchanged.
        micro_batch: images that went through the network at once.
    """

    loss: float
    parts: dict[str, float]
    is_finite: bool
    micro_batch: int


class TrainStep:
    """Takes optimizer steps.

    Args:
        fabric: launched.
        module, optimizer: as `fabric.setup` returned them.
        passes: run micro-batches forward and backward.
        clip_norm: largest norm of the gradient; None does not clip.
        notify: takes a line for the person.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: nn.Module,
        optimizer: Optimizer,
        passes: Passes,
        *,
        clip_norm: float | None,
        notify: Callable[[str], None],
    ) -> None:
        self.fabric = fabric
        self.module = module
        self.optimizer = optimizer
        self.passes = passes
        self.clip_norm = clip_norm
        self.notify = notify
        self._buffers = _Buffers(module)

    def __call__(
        self, images: Tensor, target: Tensor, *, micro_batch: int, seed: int
    ) -> StepResult:
        """Take one step on uint8 `images` (N, 3, H, W) and `target` (N, H, W).

        Args:
            images, target: this rank's part of the batch.
            micro_batch: images that go through the network at once.
            seed: of the random numbers that the network draws.

        Raises:
            ZooError: memory does not suffice for one image, or ran out on one of several devices,
                where the others would continue a step that this one has to repeat.
        """
        self._buffers.keep()
        while True:
            try:
                return self._attempt(images, target, micro_batch, seed)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self.optimizer.zero_grad(set_to_none=True)
            self.passes.forget()
            self._buffers.put_back()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            micro_batch = self._smaller(min(micro_batch, len(images)))

    def _smaller(self, micro_batch: int) -> int:
        if micro_batch == 1 or self.fabric.world_size > 1:
            raise ZooError(
                f"out of memory with {counted(micro_batch, 'image')} "
                "at once on each device: choose a "
                "smaller loader.crop_size, runtime.micro_batch or encoder"
            )
        self.notify(
            f"out of memory: {micro_batch // 2} instead of {micro_batch} images at once from now "
            "on; the batch of a step and the schedule stay as they are"
        )
        return micro_batch // 2

    def _attempt(self, images: Tensor, target: Tensor, micro_batch: int, seed: int) -> StepResult:
        total = torch.zeros((), device=self.fabric.device)
        sums: dict[str, Tensor] = {}
        chunks = list(
            zip(torch.split(images, micro_batch), torch.split(target, micro_batch), strict=True)
        )
        if self.passes.start(chunks):
            self._buffers.put_back()
        torch.manual_seed(seed)
        for number, chunk in enumerate(chunks):
            fraction = fraction_of(chunk, chunks)
            loss, parts = self.passes.take(
                *chunk, fraction=fraction, is_last=number + 1 == len(chunks)
            )
            total += loss * fraction
            for name, value in parts.items():
                sums[name] = sums.get(name, 0) + value * fraction
        return self._finish(total, sums, micro_batch)

    def _finish(self, total: Tensor, sums: dict[str, Tensor], micro_batch: int) -> StepResult:
        norm = nn.utils.clip_grad_norm_(
            self.module.parameters(), self.clip_norm if self.clip_norm else float("inf")
        )
        mean = total
        if self.fabric.world_size > 1:
            mean = cast(Tensor, self.fabric.all_reduce(total, reduce_op="mean"))
        is_finite = bool(torch.isfinite(mean) & torch.isfinite(norm))
        if is_finite:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        parts = {name: float(value) for name, value in sums.items()}
        return StepResult(float(mean), parts, is_finite, micro_batch)


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of the random numbers that the network draws in one step of one rank."""
    digest = hashlib.sha256(f"{seed}/{step}/{rank}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class _Buffers:
    """The running statistics of a module, which an abandoned step has already changed."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._kept: list[Tensor] = [buffer.clone() for buffer in module.buffers()]

    def keep(self) -> None:
        if self._kept:
            torch._foreach_copy_(self._kept, list(self._module.buffers()))

    def put_back(self) -> None:
        for buffer, kept in zip(self._module.buffers(), self._kept, strict=True):
            buffer.copy_(kept)
