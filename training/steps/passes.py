"""Forward and backward through a network: launched one by one, or captured and replayed.

Eager torch launches hundreds of kernels from Python for each pass, which takes a small network
longer than a GPU needs to run them. Crops have one size, so `CapturedPasses` captures a pass as a
CUDA graph once and then replays it: the same kernels with the same random numbers, in one launch.
Optimizer, clipping and averages stay outside; they are a few fused launches each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from maskzoo.models.engines.graphs.device import Graph, GraphDevice
from maskzoo.models.errors import ZooError
from maskzoo.models.memory import is_out_of_memory
from maskzoo.models.network.network import SegmentationNetwork, TrainOutput
from maskzoo.training.losses.teacher import Teacher
from maskzoo.training.losses.total import SegmentationLoss

Losses = tuple[Tensor, dict[str, Tensor]]
"""The loss of a pass, detached, and its parts by name."""

Chunks = Sequence[tuple[Tensor, Tensor]]
"""The micro-batches of a step: images (N, C, H, W) and target (N, H, W)."""

_MOST_SHAPES = 2  # a full micro-batch and what is left of the batch; each holds its activations


class Passes(Protocol):
    """Takes the passes of a step; the gradients of its micro-batches add up in the parameters."""

    def start(self, chunks: Chunks) -> bool:
        """Begin a step without gradients, and prepare for the shapes of its micro-batches.

        Returns:
            Whether that ran the module, which changes its buffers.
        """

    def take(self, images: Tensor, target: Tensor, *, fraction: float, is_last: bool) -> Losses:
        """Run one micro-batch forward and backward; the gradient is that of its loss x fraction."""

    def forget(self) -> None:
        """Release memory that is held between steps."""


class EagerPasses:
    """Passes whose kernels are launched one by one.

    Args:
        fabric: launched.
        module: as `fabric.setup` returned it.
        forward: `forward_train` of the module, compiled or not.
        loss: on the same device.
        normalise: turns uint8 images into the network's input.
        teacher: adds to the loss; on the same device.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: nn.Module,
        forward: Callable[[Tensor], TrainOutput],
        loss: SegmentationLoss,
        *,
        normalise: Callable[[Tensor], Tensor],
        teacher: Teacher | None = None,
    ) -> None:
        self.fabric = fabric
        self.module = module
        self.forward = forward
        self.loss = loss
        self.normalise = normalise
        self.teacher = teacher

    def start(self, chunks: Chunks) -> bool:
        """Drop the gradients."""
        self.module.zero_grad(set_to_none=True)
        return False

    def take(self, images: Tensor, target: Tensor, *, fraction: float, is_last: bool) -> Losses:
        """Run one micro-batch; several devices exchange gradients in the last one."""
        with self.fabric.no_backward_sync(self.module, enabled=not is_last):  # type: ignore[arg-type]
            # Fabric's wrapper brings its precision along in `forward` alone: on one device,
            # other methods than that reach the bare module.
            with self.fabric.autocast():
                output = self.forward(self.normalise(images))
                answer = None if self.teacher is None else self.teacher.answer(images)
            with torch.autocast(self.fabric.device.type, enabled=False):
                loss, parts = self.loss(output, target)
                if self.teacher is not None and answer is not None:
                    taught, named = self.teacher.loss(answer, output)
                    loss, parts = loss + taught, parts | named
            self.fabric.backward(loss * fraction)
        return loss.detach(), parts

    def forget(self) -> None:
        """Hold nothing: there is nothing to do."""


@dataclass(frozen=True)
class _Captured:
    """A pass in a graph, with the memory that it reads."""

    graph: Graph
    images: Tensor
    target: Tensor
    names: tuple[str, ...]  # of the parts, in the order of the graph's outputs

    def replay(self, images: Tensor, target: Tensor) -> Losses:
        self.images.copy_(images, non_blocking=True)
        self.target.copy_(target, non_blocking=True)
        self.graph.replay()
        loss, *parts = (output.clone() for output in self.graph.outputs)  # the next overwrites them
        return loss, dict(zip(self.names, parts, strict=True))


_Shape = tuple[torch.Size, float]


class CapturedPasses:
    """Passes that are replayed from CUDA graphs.

    A pass that cannot be captured, because it reads a value on the host, stays eager from then on,
    and the person is told why.

    Args:
        eager: what is captured; on one device.
        device: captures.
        notify: takes a line for the person.
    """

    def __init__(
        self, eager: EagerPasses, device: GraphDevice, *, notify: Callable[[str], None]
    ) -> None:
        self.failure: str | None = None
        self._eager = eager
        self._device = device
        self._notify = notify
        self._captured: dict[_Shape, _Captured] = {}
        self._gradients: dict[nn.Parameter, Tensor] = {}

    def start(self, chunks: Chunks) -> bool:
        """Capture what is new, and set the gradients to zero."""
        has_run = False
        for shape, chunk in {_shape(chunk, chunks): chunk for chunk in chunks}.items():
            if self.failure is None and shape not in self._captured:
                has_run = True
                self._capture(shape, *chunk)
        if self.failure is not None:
            self._eager.start(chunks)
            return has_run
        for parameter, gradient in self._gradients.items():
            parameter.grad = gradient
        torch._foreach_zero_(list(self._gradients.values()))
        return has_run

    def take(self, images: Tensor, target: Tensor, *, fraction: float, is_last: bool) -> Losses:
        """Replay the pass, or run it eagerly if it could not be captured."""
        captured = self._captured.get((images.shape, fraction))
        if captured is None:
            return self._eager.take(images, target, fraction=fraction, is_last=is_last)
        return captured.replay(images, target)

    def forget(self) -> None:
        """Drop the graphs with the memory of their activations, and the gradients."""
        self._captured.clear()
        self._gradients.clear()

    def _capture(self, shape: _Shape, images: Tensor, target: Tensor) -> None:
        if len(self._captured) >= _MOST_SHAPES:
            self._captured.pop(next(iter(self._captured)))
        images, target = images.clone(), target.clone()
        names: list[str] = []

        def work() -> tuple[Tensor, ...]:
            loss, parts = self._eager.take(images, target, fraction=shape[1], is_last=True)
            names[:] = parts
            return loss, *parts.values()

        # Gradients that exist are added to in place. So the graph writes into those that the runs
        # before the capture have made, and weights that get none keep having none.
        for parameter in self._eager.module.parameters():
            parameter.grad = self._gradients.get(parameter)
        stream = self._device.stream()
        stream.after(self._device.current().record())
        try:
            graph = self._device.capture(work, stream)
        except RuntimeError as error:
            self._fail(error)
            return
        self._captured[shape] = _Captured(graph, images, target, tuple(names))
        self._gradients = {
            parameter: parameter.grad
            for parameter in self._eager.module.parameters()
            if parameter.grad is not None
        }

    def _fail(self, error: RuntimeError) -> None:
        """Stay eager, except where memory ran out: then a smaller pass may be captured.

        Raises:
            RuntimeError: memory ran out.
        """
        self.forget()
        if is_out_of_memory(error):
            raise error
        self.failure = (str(error).strip().splitlines() or [type(error).__name__])[0]
        self._notify(f"the training step runs eagerly, as it cannot be captured: {self.failure}")


def _shape(chunk: tuple[Tensor, Tensor], chunks: Chunks) -> _Shape:
    """Return what a graph is captured for: the shape of the images, and their fraction."""
    return chunk[0].shape, fraction_of(chunk, chunks)


def fraction_of(chunk: tuple[Tensor, Tensor], chunks: Chunks) -> float:
    """Return the fraction of a step's images that are in one of its micro-batches."""
    return len(chunk[0]) / sum(len(images) for images, _ in chunks)


def compiled(network: SegmentationNetwork) -> Callable[[Tensor], TrainOutput]:
    """Return `network.forward_train`, compiled by TorchInductor for one size in its first run.

    Raises:
        ZooError: from the returned function, when the network cannot be compiled.
    """
    run = torch.compile(network.forward_train, dynamic=False)
    is_compiled = False

    def forward(images: Tensor) -> TrainOutput:
        nonlocal is_compiled
        try:
            output: TrainOutput = run(images)
        except Exception as error:  # the compiler's errors have no common base class
            if is_compiled or is_out_of_memory(error):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ZooError(
                f"the network could not be compiled: {reason}; set runtime.step=eager"
            ) from error
        is_compiled = True
        return output

    return forward
