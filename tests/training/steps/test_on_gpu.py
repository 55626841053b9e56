"""Captured steps on a real GPU, against the same steps launched one by one."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric

from maskzoo.models.engines.graphs.device import open_device
from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.registry import ARCHITECTURES
from maskzoo.training.config.losses import CrossEntropyTerm, DiceTerm
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.run.fit import prepare, run_steps, train
from maskzoo.training.steps.passes import CapturedPasses, EagerPasses
from maskzoo.training.steps.step import TrainStep
from tests.models import tiny as networks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
MakeConfig = Callable[..., TrainConfig]
STEPS = 4


def losses_of(name: str, *, captured: bool) -> list[float]:
    """Return the losses of a few steps of a tiny network, in two micro-batches each."""
    fabric = Fabric(accelerator="cuda", devices=1, precision="bf16-mixed")
    network = networks.build(name).train().to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    module, fabric_optimizer = fabric.setup(network, optimizer)
    module.mark_forward_method("forward_train")
    loss = SegmentationLoss(
        (CrossEntropyTerm(), DiceTerm()),
        ignore_index=255,
        class_weights=None,
        aux_weights=network.aux_weights,
        scene_weight=network.scene_weight,
    )
    normalise = Normalise((0.5,) * 3, (0.25,) * 3, device=fabric.device, channels_last=True)
    passes = eager = EagerPasses(fabric, module, module.forward_train, loss, normalise=normalise)
    if captured:
        passes = CapturedPasses(eager, open_device(fabric.device), notify=pytest.fail)  # type: ignore[assignment]
    step = TrainStep(fabric, module, fabric_optimizer, passes, clip_norm=1.0, notify=pytest.fail)
    random = torch.Generator().manual_seed(0)
    found = []
    for number in range(STEPS):
        images = torch.randint(0, 256, (6, 3, 64, 96), dtype=torch.uint8, generator=random)
        target = torch.randint(0, networks.CLASSES, (6, 64, 96), generator=random)
        result = step(
            images.to(fabric.device), target.to(fabric.device), micro_batch=4, seed=number
        )
        assert result.is_finite
        found.append(result.loss)
    return found


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_trains_the_same_in_captured_steps(name: str) -> None:
    assert losses_of(name, captured=True) == pytest.approx(
        losses_of(name, captured=False), rel=0.02
    )


def _losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_log(folder / "log.jsonl") if row["kind"] == "train"]


def test_a_captured_run_has_the_losses_of_an_eager_one_and_frees_its_memory(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
) -> None:
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    for step in ("captured", "eager"):
        config = tiny("runtime.accelerator=cuda", f"runtime.step={step}")
        train(discs, config, run_dir=tmp_path / step, display=display)
    assert _losses(tmp_path / "captured") == pytest.approx(_losses(tmp_path / "eager"), rel=0.01)
    assert "runs eagerly" not in shown()
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= before + (64 << 20)


def test_a_captured_run_goes_on_where_it_was_stopped(
    discs: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    given = ("runtime.accelerator=cuda", "runtime.step=captured", "model.options.dropout=0.3")
    train(discs, tiny(*given), run_dir=tmp_path / "whole")
    run_steps(prepare(discs, tiny(*given), run_dir=tmp_path / "parted"), until=3)
    train(discs, run_dir=tmp_path / "parted", resume=True)
    assert _losses(tmp_path / "parted") == pytest.approx(_losses(tmp_path / "whole"), rel=0.01)


@pytest.mark.skipif(shutil.which("cc") is None, reason="Triton's launcher needs a C compiler")
def test_a_compiled_run_has_the_losses_of_an_eager_one(
    discs: Path, tiny: MakeConfig, tmp_path: Path
) -> None:
    for step in ("compiled", "eager"):
        config = tiny("runtime.accelerator=cuda", f"runtime.step={step}", "max_steps=2")
        train(discs, config, run_dir=tmp_path / step)
    assert _losses(tmp_path / "compiled") == pytest.approx(_losses(tmp_path / "eager"), rel=0.02)
