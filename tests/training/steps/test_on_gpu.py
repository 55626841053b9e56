"""Captured steps on a real GPU, against the same steps launched one by one.

On the CPU the same checks run as slow tests, with a device that only pretends to capture, so that
they do not fail for their own mistakes where a GPU is at hand.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor

from maskzoo.models.engines.graphs.device import open_device
from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.training.config.losses import CrossEntropyTerm, DiceTerm
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.run.fit import prepare, run_steps, train
from maskzoo.training.steps.passes import CapturedPasses, EagerPasses, Passes
from maskzoo.training.steps.step import TrainStep
from tests.models import tiny as networks
from tests.models.engines.graphs.fake import LateDevice

GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
RUNS = [
    pytest.param("cpu", "eager", marks=pytest.mark.slow),
    pytest.param("cuda", "captured", marks=GPU),
]
MakeConfig = Callable[..., TrainConfig]


def moves_of(name: str, device: str, *, captured: bool) -> tuple[list[float], Tensor]:
    """Take some steps in two micro-batches each; return the losses and how the weights moved."""
    fabric = Fabric(accelerator=device, devices=1, precision="bf16-mixed")
    network = networks.build(name).train().to(fabric.device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=0.02))
    module.mark_forward_method("forward_train")
    loss = SegmentationLoss(
        (CrossEntropyTerm(), DiceTerm()),
        ignore_index=255,
        class_weights=None,
        aux_weights=network.aux_weights,
        scene_weight=network.scene_weight,
    )
    normalise = Normalise((0.5,) * 3, (0.25,) * 3, device=fabric.device, channels_last=True)
    eager = EagerPasses(fabric, module, module.forward_train, loss, normalise=normalise)
    on = open_device(fabric.device) if device == "cuda" else LateDevice()
    passes: Passes = CapturedPasses(eager, on, notify=pytest.fail) if captured else eager
    step = TrainStep(fabric, module, optimizer, passes, clip_norm=1.0, notify=pytest.fail)
    before = _weights(network)
    random = torch.Generator().manual_seed(0)
    losses = []
    for number in range(3):
        images = torch.randint(0, 256, (6, 3, 64, 96), dtype=torch.uint8, generator=random)
        target = torch.randint(0, networks.CLASSES, (6, 64, 96), generator=random)
        given = images.to(fabric.device), target.to(fabric.device)
        result = step(*given, micro_batch=4, seed=number)
        assert result.is_finite
        losses.append(result.loss)
    return losses, _weights(network) - before


def _weights(network: torch.nn.Module) -> Tensor:
    return torch.cat([one.detach().flatten().cpu() for one in network.parameters()])


@pytest.mark.parametrize(
    ("device", "name"),
    [
        *(pytest.param("cpu", name, marks=pytest.mark.slow) for name in ("unet", "emanet")),
        *(pytest.param("cuda", name, marks=GPU) for name in ARCHITECTURES),
    ],
)
def test_captured_steps_move_the_weights_as_eager_ones_do(device: str, name: str) -> None:
    losses, moved = moves_of(name, device, captured=True)
    expected, wanted = moves_of(name, device, captured=False)
    assert losses == pytest.approx(expected, rel=0.02)
    assert torch.linalg.vector_norm(moved - wanted) < 0.1 * torch.linalg.vector_norm(wanted)


def _losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_log(folder / "log.jsonl") if row["kind"] == "train"]


def _reserved(device: str) -> int:
    gc.collect()
    if device == "cpu":
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved()


@pytest.mark.parametrize(("device", "step"), RUNS)
def test_a_captured_run_has_the_losses_of_an_eager_one_and_frees_its_memory(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
    device: str,
    step: str,
) -> None:
    before = _reserved(device)
    for folder, kind in (("one", step), ("other", "eager")):
        config = tiny(f"runtime.accelerator={device}", f"runtime.step={kind}")
        train(discs, config, run_dir=tmp_path / folder, display=display)
    assert _losses(tmp_path / "one") == pytest.approx(_losses(tmp_path / "other"), rel=0.02)
    assert "runs eagerly" not in shown()
    assert _reserved(device) <= before + (64 << 20)


@pytest.mark.parametrize(("device", "step"), RUNS)
def test_a_captured_run_goes_on_where_it_was_stopped(
    discs: Path, tiny: MakeConfig, tmp_path: Path, device: str, step: str
) -> None:
    given = (f"runtime.accelerator={device}", f"runtime.step={step}", "model.options.dropout=0.3")
    train(discs, tiny(*given), run_dir=tmp_path / "whole")
    run_steps(prepare(discs, tiny(*given), run_dir=tmp_path / "parted"), until=3)
    train(discs, run_dir=tmp_path / "parted", resume=True)
    assert _losses(tmp_path / "parted") == pytest.approx(_losses(tmp_path / "whole"), rel=0.02)


@pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=GPU)]
)
@pytest.mark.skipif(shutil.which("g++") is None, reason="the compiler of torch needs a C++ one")
def test_a_compiled_run_has_the_losses_of_an_eager_one(
    discs: Path, tiny: MakeConfig, tmp_path: Path, device: str
) -> None:
    for step in ("compiled", "eager"):
        config = tiny(f"runtime.accelerator={device}", f"runtime.step={step}", "max_steps=2")
        train(discs, config, run_dir=tmp_path / step)
    assert _losses(tmp_path / "compiled") == pytest.approx(_losses(tmp_path / "eager"), rel=0.02)
