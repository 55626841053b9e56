"""Passes that are replayed: the numbers of eager ones, and what happens where that cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from maskzoo.models.engines.graphs.device import Graph, Outputs, Stream
from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.errors import ZooError
from maskzoo.models.network.network import TrainOutput
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.training.config.losses import CrossEntropyTerm, DiceTerm, FocalTerm, OhemTerm
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.steps.passes import CapturedPasses, EagerPasses, compiled
from maskzoo.training.steps.step import StepResult, TrainStep
from tests.models import tiny
from tests.models.engines.graphs.fake import LateDevice

TERMS = (CrossEntropyTerm(), DiceTerm(), OhemTerm(), FocalTerm())


class _Network(nn.Module):
    """Everything that a replay could get wrong: statistics, dropout, a weight without gradient."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Conv2d(4, 2, 1)
        )
        self.unused = nn.Parameter(torch.ones(3))

    def forward_train(self, images: Tensor) -> TrainOutput:
        return TrainOutput(self.layers(images))


class _WarmDevice(LateDevice):
    """Runs the work some times before it captures, as a GPU does."""

    def capture(self, work: Callable[[], Outputs], stream: Stream) -> Graph:
        for _ in range(3):
            work()
        return super().capture(work, stream)


def _loss() -> SegmentationLoss:
    return SegmentationLoss(
        TERMS, ignore_index=255, class_weights=None, aux_weights={}, scene_weight=0
    )


def _step(device: LateDevice | None) -> tuple[TrainStep, _Network, list[str]]:
    network, lines = _Network(), list[str]()
    fabric = Fabric(accelerator="cpu", devices=1)
    module, optimizer = fabric.setup(
        network, torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.5)
    )
    module.mark_forward_method("forward_train")
    normalise = Normalise((0.5,) * 3, (0.25,) * 3, device=fabric.device, channels_last=False)
    eager = EagerPasses(fabric, module, module.forward_train, _loss(), normalise=normalise)
    passes = eager if device is None else CapturedPasses(eager, device, notify=lines.append)
    step = TrainStep(fabric, module, optimizer, passes, clip_norm=1.0, notify=lines.append)
    return step, network, lines


def _take(step: TrainStep, *, micro_batch: int, steps: int = 4) -> list[StepResult]:
    random = torch.Generator().manual_seed(1)
    results = []
    for number in range(steps):
        images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=random)
        target = torch.randint(0, 3, (5, 8, 8), generator=random)
        target[target == 2] = 255
        results.append(step(images, target, micro_batch=micro_batch, seed=number))
        micro_batch = results[-1].micro_batch
    return results


def _assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, mine), theirs in zip(
        one.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs), name


@pytest.mark.parametrize(("micro_batch", "shapes"), [(5, 1), (2, 2), (1, 1)])
def test_replayed_passes_train_bit_for_bit_as_eager_ones(micro_batch: int, shapes: int) -> None:
    device = _WarmDevice()
    (captured, network, lines), (eager, expected, _) = _step(device), _step(None)
    assert _take(captured, micro_batch=micro_batch) == _take(eager, micro_batch=micro_batch)
    _assert_same(network, expected)
    assert torch.equal(network.unused, torch.ones(3))  # neither moved nor decayed
    assert not lines
    assert device.captures == shapes
    assert device.replays == 4 * -(-5 // micro_batch)


def test_a_pass_that_cannot_be_captured_stays_eager_and_says_why_once() -> None:
    def fail() -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    (captured, network, lines), (eager, expected, _) = _step(_WarmDevice(fail=fail)), _step(None)
    assert _take(captured, micro_batch=2) == _take(eager, micro_batch=2)
    _assert_same(network, expected)
    assert lines == [
        "the training step runs eagerly, as it cannot be captured: operation not permitted when "
        "stream is capturing"
    ]


def test_a_capture_that_runs_out_of_memory_is_repeated_with_half_the_images() -> None:
    failures = [torch.OutOfMemoryError("CUDA out of memory")]

    def fail() -> None:
        if failures:
            raise failures.pop()

    device = _WarmDevice(fail=fail)
    (captured, network, lines), (eager, expected, _) = _step(device), _step(None)
    results = _take(captured, micro_batch=5)
    assert [result.micro_batch for result in results] == [2] * 4
    assert results == _take(eager, micro_batch=2)
    _assert_same(network, expected)
    assert [line.split(":")[0] for line in lines] == ["out of memory"]


def test_only_the_two_last_shapes_are_held() -> None:
    device = LateDevice()
    step, *_ = _step(device)
    for micro_batch in (5, 4, 5):  # 5; 4 and 1; 5 again
        _take(step, micro_batch=micro_batch, steps=1)
    assert device.captures == 4


def _pass_without_values(name: str) -> None:
    network = tiny.build(name).train()
    loss = SegmentationLoss(
        TERMS,
        ignore_index=255,
        class_weights=None,
        aux_weights=network.aux_weights,
        scene_weight=network.scene_weight,
    )
    # Tensors without values: whatever reads one on the host raises, as it would in a capture.
    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.empty(2, 3, 64, 64)
        target = torch.empty(2, 64, 64, dtype=torch.int64)
        total, parts = loss(network.forward_train(images), target)
        total.backward()
    assert {"ce", "dice", "ohem", "focal"} <= parts.keys()


def test_a_pass_reads_no_value_on_the_host() -> None:
    _pass_without_values("unet")


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_architecture_reads_a_value_on_the_host_in_training(name: str) -> None:
    _pass_without_values(name)


def test_a_network_that_cannot_be_compiled_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(images: Tensor) -> TrainOutput:
        raise RuntimeError("no working C++ compiler found\nand a long story")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    with pytest.raises(ZooError, match=r"no working C\+\+ compiler found; set runtime.step=eager"):
        compiled(tiny.build("unet"))(torch.zeros(1, 3, 64, 64))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="TorchInductor needs a C++ compiler")
def test_a_compiled_network_has_the_loss_and_the_gradient_of_the_eager_one() -> None:
    network = tiny.build("unet").train()
    for module in network.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0  # two runs draw different channels, compiled or not
    images, target = torch.randn(2, 3, 64, 64), torch.randint(0, 3, (2, 64, 64))
    found = []
    for forward in (network.forward_train, compiled(network)):
        network.zero_grad()
        loss, _ = _loss()(forward(images), target)
        loss.backward()
        gradient = torch.cat([one.grad.flatten() for one in network.parameters()])
        found.append((loss.detach(), gradient))
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)
