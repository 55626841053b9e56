"""What a step takes is measured on the network as it is, which stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from maskzoo.models.registry import build_network
from maskzoo.models.spec import ModelSpec
from maskzoo.training.config.load import load_config
from maskzoo.training.config.losses import CrossEntropyTerm
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.planning import memory
from maskzoo.training.planning.machine import choose_machine
from maskzoo.training.planning.memory import StepMemory, free_bytes, free_ram, measure_step

CPU = torch.device("cpu")


def test_images_that_fit_leave_a_fifth_free() -> None:
    assert StepMemory(fixed=100, per_image=50, free=1000).images == 14  # (800 - 100) / 50
    assert StepMemory(fixed=900, per_image=50, free=1000).images == 0
    assert StepMemory(fixed=0, per_image=0, free=10).images == 8


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells its peak")
def test_a_step_is_measured_and_the_network_left_alone() -> None:
    options = {"channels": [16, 16, 16, 16], "stem_width": 8}
    spec = ModelSpec.build(
        architecture="unet", encoder="tu-resnet10t", num_classes=2, encoder_options=options
    )
    network = build_network(spec)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    loss = SegmentationLoss(
        (CrossEntropyTerm(),),
        ignore_index=255,
        class_weights=None,
        aux_weights=network.aux_weights,
        scene_weight=network.scene_weight,
    )
    given = load_config(["runtime.precision=fp32", "runtime.channels_last=false"])
    config = choose_machine(given).config
    found = measure_step(network, loss, config, crop=(256, 256), device=CPU)
    assert found is not None
    # One activation of the first level alone has 16 * 128 * 128 floats, 1 MiB.
    assert 2**20 < found.per_image < 2**30
    weights = sum(value.nbytes for value in network.parameters())
    assert found.fixed >= 2 * weights  # AdamW's two moments
    assert found.free > 0
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_system_that_tells_nothing_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_ram", lambda: None)
    assert free_bytes(CPU) is None
    assert free_bytes(torch.device("mps")) is None


def test_the_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit, usage = tmp_path / "max", tmp_path / "current"
    limit.write_text("3000000\n")
    usage.write_text("1000000\n")
    monkeypatch.setattr(memory, "_LIMITS", ((str(limit), str(usage)),))
    assert free_ram() == 2_000_000
    limit.write_text("max\n")
    unlimited = free_ram()
    assert unlimited is None or unlimited > 2_000_000
