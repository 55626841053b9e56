"""The precision in which a step computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.fit import prepare, run_steps

MakeConfig = Callable[..., TrainConfig]


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

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if module.training:
            seen.add(output.dtype)

    for module in parts.network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(look)
    run_steps(parts, until=1)
    assert seen == {dtype}
    assert {weight.dtype for weight in parts.network.parameters()} == {torch.float32}
