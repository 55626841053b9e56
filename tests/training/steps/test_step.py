"""One step of a network small enough to follow: amounts, precision, memory, numbers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.network.network import TrainOutput
from maskzoo.training.config.losses import CrossEntropyTerm
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.run.fit import prepare, run_steps
from maskzoo.training.steps.passes import EagerPasses
from maskzoo.training.steps.step import TrainStep, step_seed

MakeConfig = Callable[..., TrainConfig]
LR = 0.5


class _Tiny(nn.Module):
    """Two convolutions with group norm: an image does not see the others of its batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 2, 1)
        )

    def forward_train(self, images: Tensor) -> TrainOutput:
        return TrainOutput(self.layers(images))


class _Scaled(SegmentationLoss):
    """Cross-entropy times a factor."""

    factor = 1.0

    def forward(self, output: TrainOutput, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        total, parts = super().forward(output, target)
        return total * self.factor, parts


def _step(*, clip_norm: float | None = None, factor: float = 1.0) -> tuple[TrainStep, _Tiny]:
    """Return a step with plain gradient descent, and its bare network."""
    network = _Tiny()
    fabric = Fabric(accelerator="cpu", devices=1)
    module, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=LR))
    module.mark_forward_method("forward_train")
    terms = (CrossEntropyTerm(),)
    loss = _Scaled(terms, ignore_index=255, class_weights=None, aux_weights={}, scene_weight=0)
    loss.factor = factor
    normalise = Normalise((0.5,) * 3, (0.25,) * 3, device=fabric.device, channels_last=False)
    step = TrainStep(
        fabric,
        module,
        optimizer,
        EagerPasses(fabric, module, module.forward_train, loss, normalise=normalise),
        clip_norm=clip_norm,
        notify=lambda line: None,
    )
    return step, network


def _batch(count: int = 3) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=random)
    return images, torch.randint(0, 2, (count, 8, 8), generator=random)


def _weights(network: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten().clone() for weight in network.parameters()])


@pytest.mark.parametrize("clip_norm", [1.0, 0.25])
def test_a_large_gradient_is_clipped_to_its_norm(clip_norm: float) -> None:
    step, network = _step(clip_norm=clip_norm, factor=1e6)
    before = _weights(network)
    assert step(*_batch(), micro_batch=3, seed=0).is_finite
    moved = torch.linalg.vector_norm(_weights(network) - before)
    assert moved.item() == pytest.approx(LR * clip_norm, rel=1e-4)


def test_without_a_limit_the_gradient_moves_the_weights_as_far_as_it_is_long() -> None:
    (step, network), (_, copy) = _step(factor=1e6), _step()
    images, target = _batch()
    logits = copy.forward_train((images.float() / 255 - 0.5) / 0.25).logits
    (1e6 * nn.functional.cross_entropy(logits, target)).backward()
    gradient = torch.cat([weight.grad.flatten() for weight in copy.parameters()])
    before = _weights(network)
    step(images, target, micro_batch=3, seed=0)
    torch.testing.assert_close(before - _weights(network), LR * gradient, rtol=1e-3, atol=1)
    assert torch.linalg.vector_norm(gradient) > 1e4


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_micro_batches_of_unequal_size_add_up_to_the_whole_batch(micro_batch: int) -> None:
    (whole, expected), (parted, network) = _step(), _step()
    first = whole(*_batch(), micro_batch=3, seed=0)
    second = parted(*_batch(), micro_batch=micro_batch, seed=0)
    torch.testing.assert_close(_weights(network), _weights(expected), rtol=1e-5, atol=1e-6)
    assert second.loss == pytest.approx(first.loss, rel=1e-6)
    assert second.parts == pytest.approx(first.parts, rel=1e-6)
    assert second.micro_batch == micro_batch


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_leaves_the_weights_as_they_were(factor: float) -> None:
    step, network = _step(clip_norm=1.0, factor=factor)
    before = _weights(network)
    assert not step(*_batch(), micro_batch=2, seed=0).is_finite
    assert torch.equal(_weights(network), before)


def test_seeds_differ_by_run_step_and_rank() -> None:
    places = list(product(range(3), repeat=3))
    assert len({step_seed(*place) for place in places}) == len(places)
    assert step_seed(1, 2, 3) == step_seed(1, 2, 3)
    assert all(0 <= step_seed(*place) < 2**63 for place in places)  # what torch takes


def test_the_seed_decides_what_dropout_leaves_out() -> None:
    losses = []
    for seed in (0, 0, 1):
        step, network = _step()
        network.layers.insert(3, nn.Dropout(0.5))
        losses.append(step(*_batch(), micro_batch=3, seed=seed).loss)
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)]
)
def test_a_step_convolves_in_the_precision_of_the_run_and_keeps_weights_in_float32(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    display: Display,
    precision: str,
    dtype: torch.dtype,
) -> None:
    config = tiny(f"runtime.precision={precision}", "max_steps=1", "ema=null")
    parts = prepare(discs, config, run_dir=tmp_path, display=display)
    seen: set[torch.dtype] = set()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if module.training:
            seen.add(output.dtype)

    for module in parts.network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    run_steps(parts, until=1)
    assert seen == {dtype}
    assert {weight.dtype for weight in parts.network.parameters()} == {torch.float32}


def test_a_gradient_that_is_not_finite_leaves_the_weights_though_the_loss_is() -> None:
    step, network = _step(clip_norm=1.0, factor=1e38)
    before = _weights(network)
    result = step(*_batch(), micro_batch=3, seed=0)
    assert torch.isfinite(torch.tensor(result.loss))
    assert not result.is_finite
    assert torch.equal(_weights(network), before)


def test_a_step_that_ran_out_of_memory_lets_go_of_all_before_it_starts_over() -> None:
    (plain, expected), (step, network) = _step(), _step()
    for one in (expected, network):
        one.layers.insert(1, nn.BatchNorm2d(4, affine=False))
    steps = [
        TrainStep(
            one.fabric,
            one.module,
            one.optimizer,
            one.passes,
            clip_norm=None,
            notify=lambda line: None,
        )
        for one in (plain, step)
    ]
    take, told = step.passes.take, []

    def take_one(images: Tensor, target: Tensor, **options: Any) -> Any:
        found = take(images, target, **options)
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return found

    def forget() -> None:
        told.append([weight.grad is None for weight in network.parameters()])

    step.passes.take, step.passes.forget = take_one, forget  # type: ignore[method-assign]
    steps[0](*_batch(), micro_batch=1, seed=0)
    assert steps[1](*_batch(), micro_batch=3, seed=0).micro_batch == 1
    assert len(told) == 1
    assert all(told[0])
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name
