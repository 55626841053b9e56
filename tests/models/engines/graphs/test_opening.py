"""Fused programs on the fake device: taken where they are right and faster, and only there."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines import choose
from maskzoo.models.engines.graphs.engine import CudaGraphsEngine
from maskzoo.models.errors import EngineError
from maskzoo.models.inference.predictor import Predictor
from tests.models import tiny
from tests.models.engines.graphs.fake import LateDevice

OPENING = "maskzoo.models.engines.graphs.opening"


class Planted:
    """A fused program that runs the network, counts, and changes the logits."""

    change: Callable[[Tensor], Tensor] = staticmethod(lambda logits: logits)
    calls = 0

    def __init__(self, found: object, network: nn.Module) -> None:
        self.network = network

    def takes(self, batch: Tensor) -> bool:
        """Take images of 64 pixels and more."""
        return min(batch.shape[2:]) >= 64

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the changed logits."""
        Planted.calls += 1
        return Planted.change(self.network.forward_coarse(batch).float())


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that puts a program there, of some speed beside the network's."""

    def plant(change: Callable[[Tensor], Tensor], *, speed: float) -> None:
        def seconds(self: CudaGraphsEngine, size: tuple[int, int], batch: int) -> float:
            return batch / 1000 / (speed if self.program.fused is not None else 1)

        monkeypatch.setattr(Planted, "calls", 0)
        monkeypatch.setattr(Planted, "change", staticmethod(change))
        monkeypatch.setattr(f"{OPENING}.find_fused", lambda *_: "found")
        monkeypatch.setattr(f"{OPENING}.FusedForward", Planted)
        monkeypatch.setattr(CudaGraphsEngine, "seconds", seconds)

    return plant


def as_it_is(logits: Tensor) -> Tensor:
    return logits


def opened(folder: Path) -> tuple[CudaGraphsEngine, str]:
    bundle = tiny.bundle(folder / "tiny")
    found = choose.open_engine(bundle, read_manifest(bundle))
    assert isinstance(found, CudaGraphsEngine)
    assert found.choice is not None
    return found, found.choice.reason


def test_without_a_program_the_reason_names_the_command(
    tmp_path: Path, with_gpu: LateDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found, reason = opened(tmp_path)
    assert found.program.fused is None
    assert "not fused: maskzoo export --engine cuda-graphs" in reason


def test_a_program_that_is_right_and_faster_is_taken_and_gives_the_masks_of_torch(
    tmp_path: Path, with_gpu: LateDevice, planted: Callable[..., None]
) -> None:
    planted(as_it_is, speed=2)
    found, reason = opened(tmp_path)
    assert "; fused: 0.50 ms in place of 1.00 for 1, 8.00 ms in place of 16.00 for 16" in reason
    loaded = load_bundle(tmp_path / "tiny")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    ours = Predictor(found, loaded.manifest.labels, loaded.manifest.preprocessing)
    torchs = Predictor(
        loaded.network, loaded.manifest.labels, loaded.manifest.preprocessing, device="cpu"
    )
    Planted.calls = 0
    for _ in range(3):  # eagerly, captured, replayed
        assert (ours.segment(image).label_map == torchs.segment(image).label_map).mean() > 0.999
    assert Planted.calls >= 2
    Planted.calls = 0
    ours.segment(image[:40])
    assert Planted.calls == 0, "too small for the program"


@pytest.mark.parametrize("speed", [0.5, 1.0, 1.01])
def test_a_program_that_is_no_faster_is_left(
    tmp_path: Path, with_gpu: LateDevice, planted: Callable[..., None], speed: float
) -> None:
    planted(as_it_is, speed=speed)
    found, reason = opened(tmp_path)
    assert found.program.fused is None
    assert "its fused program is no faster" in reason


def wrong_at_two(logits: Tensor) -> Tensor:
    return logits.flip(0) if len(logits) == 2 else logits


def wrong_classes(logits: Tensor) -> Tensor:
    return logits.flip(1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (wrong_at_two, "an image in a batch of 2 other logits than alone"),
        (wrong_classes, "gives float32's class for"),
    ],
)
def test_a_program_that_is_wrong_is_left_and_graphs_run_without_it(
    tmp_path: Path,
    with_gpu: LateDevice,
    planted: Callable[..., None],
    change: Callable[[Tensor], Tensor],
    why: str,
) -> None:
    planted(change, speed=9)
    found, reason = opened(tmp_path)
    assert found.name == "cuda-graphs"
    assert found.program.fused is None
    assert "its fused program is not used" in reason
    assert why in reason


def test_a_program_that_cannot_be_loaded_is_left(
    tmp_path: Path,
    with_gpu: LateDevice,
    planted: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise EngineError("torch cannot load the fused program: no kernel image")

    planted(as_it_is, speed=9)
    monkeypatch.setattr(f"{OPENING}.FusedForward", fail)
    found, reason = opened(tmp_path)
    assert found.program.fused is None
    assert "not used: torch cannot load the fused program: no kernel image" in reason


def test_a_program_that_cannot_be_captured_leaves_the_networks_own_graphs(
    tmp_path: Path, with_gpu: LateDevice, planted: Callable[..., None]
) -> None:
    def fail(logits: Tensor) -> Tensor:
        raise RuntimeError("operation not permitted when stream is capturing")

    planted(fail, speed=9)
    found, reason = opened(tmp_path)
    assert "its fused program is not used" in reason
    assert "not permitted when stream is capturing" in reason
    assert found.failure is None
    found.prepare((64, 80), [1])
    assert len(found.buckets) == 1


def engine(device: LateDevice) -> CudaGraphsEngine:
    network = tiny.at_unit_scale(tiny.build("unet").eval())
    return CudaGraphsEngine(network, tiny.PREPROCESSING, device, half=False)


def test_another_program_drops_the_graphs_of_the_last_one() -> None:
    graphs = engine(LateDevice())
    graphs.prepare((64, 80), [1, 2])
    graphs.use(Planted(None, graphs.network))
    assert graphs.buckets == []
    graphs.prepare((64, 80), [1])
    graphs.use(None)
    assert graphs.buckets == []


def test_the_time_of_a_launch_is_that_of_its_replays() -> None:
    device = LateDevice()
    assert 0 < engine(device).seconds((64, 80), 3) < math.inf
    assert (device.captures, device.replays) == (1, 10)

    def fail() -> None:
        raise RuntimeError("no capture")

    assert engine(LateDevice(fail=fail)).seconds((64, 80), 1) == math.inf
