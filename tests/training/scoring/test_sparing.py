"""Memory that runs out during prediction: smaller parts, with a notice, and no run lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from maskzoo.models.engines import EagerEngine
from maskzoo.models.errors import ZooError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.fit import train
from maskzoo.training.scoring.evaluate import evaluate_split
from maskzoo.training.scoring.sparing import SparingPredictor

PREPROCESSING = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), train_size=(32, 32))


class Memory:
    """Room for so many pixels at once; `seen` are the inputs that fitted in."""

    def __init__(self, pixels: int, error: Exception) -> None:
        self.pixels = pixels
        self.error = error
        self.seen: list[tuple[int, int]] = []
        self.refused = 0

    def take(self, x: Tensor) -> None:
        if x.shape[-2] * x.shape[-1] > self.pixels:
            self.refused += 1
            raise self.error
        self.seen.append((x.shape[-2], x.shape[-1]))


class Threshold(nn.Module):
    """Calls bright pixels a disc, pixel by pixel: tiles change nothing."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory

    def forward(self, x: Tensor) -> Tensor:
        self.memory.take(x)
        brightness = x.mean(1, keepdim=True) - 0.4
        return torch.cat([-brightness, brightness], dim=1)


def predictor(memory: Memory) -> Predictor:
    labels = LabelSet.from_names(["ground", "disc"])
    return Predictor(Threshold(memory), labels, PREPROCESSING, device="cpu")


def image_of(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(),
     RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["auto", "whole", "tiled"])
def test_parts_shrink_until_they_fit_and_the_labels_stay(error: Exception, mode: str) -> None:
    lines: list[str] = []
    memory = Memory(100 * 100, error)
    sparing = SparingPredictor(predictor(memory), lines.append)
    image = image_of(150, 300)
    found = sparing.segment(image, PredictOptions(mode=mode))
    expected = predictor(Memory(1 << 30, error)).segment(image).label_map
    np.testing.assert_array_equal(found.label_map, expected)
    assert max(height * width for height, width in memory.seen) <= 100 * 100
    assert sparing.spared == 1
    assert lines[-1] == ("out of memory on an image of 300 x 150: tiles are of 64 x 64 from now on")
    assert len(lines) == (2 if mode == "tiled" else 3)


def test_what_was_learnt_holds_for_the_images_that_follow() -> None:
    lines: list[str] = []
    memory = Memory(130 * 130, MemoryError())
    first = SparingPredictor(predictor(memory), lines.append)
    first.segment(image_of(150, 300))
    refused, num_lines = memory.refused, len(lines)
    first.segment(image_of(150, 300))
    first.segment(image_of(64, 64))
    again = SparingPredictor(first.predictor, lines.append)
    again.segment(image_of(200, 300))
    assert (memory.refused, len(lines)) == (refused, num_lines)
    assert memory.seen.count((64, 64)) == 1, "a small image stays whole"
    assert first.spared == 2


def test_an_image_that_is_tiled_in_place_of_whole_is_spared_though_no_tile_shrank() -> None:
    sparing = SparingPredictor(predictor(Memory(512 * 512, MemoryError())), lambda line: None)
    sparing.segment(image_of(512, 520))  # the smallest that does not fit
    sparing.segment(image_of(512, 520))  # an image of just that size is tiled at once
    sparing.segment(image_of(512, 512))
    assert (sparing.spared, sparing.predictor.max_tile) == (2, None)


def test_an_error_of_another_kind_is_passed_on() -> None:
    sparing = SparingPredictor(predictor(Memory(0, RuntimeError("shapes differ"))), print)
    with pytest.raises(RuntimeError, match="shapes differ"):
        sparing.segment(image_of(64, 64))


def test_no_memory_for_the_smallest_tile_is_told_with_a_cure() -> None:
    sparing = SparingPredictor(predictor(Memory(0, MemoryError())), lambda line: None)
    with pytest.raises(ZooError, match=r"even in tiles of 64 x 64: choose a smaller encoder"):
        sparing.segment(image_of(200, 200))


def test_an_evaluation_says_that_images_were_taken_in_parts(
    make_data: Callable[..., Path],
) -> None:
    data = open_dataset(make_data(size=(96, 160)))
    plenty, short = Memory(1 << 30, MemoryError()), Memory(80 * 80, MemoryError())
    lines: list[str] = []
    full = evaluate_split(SparingPredictor(predictor(plenty)), data, split="test", name="t")
    assert "parts" not in full.to_json()["how"]
    sparing = SparingPredictor(predictor(short), lines.append)
    for _ in range(2):  # each evaluation counts its own images
        part = evaluate_split(
            sparing, data, split="test", name="t", options=PredictOptions(mode="whole")
        )
    assert part.scores == full.scores
    assert part.to_json()["how"].endswith("; 3 of 3 in smaller parts, as memory ran out")
    assert "predicted in tiles from now on" in lines[0]


def test_a_run_whose_validation_runs_out_of_memory_ends_with_its_bundle(
    make_data: Callable[..., Path],
    tiny: Callable,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = Memory(80 * 80, torch.OutOfMemoryError("CUDA out of memory"))
    usual = EagerEngine.run

    def run(engine: EagerEngine, batch: Tensor) -> Tensor:
        memory.take(batch)
        return usual(engine, batch)

    monkeypatch.setattr(EagerEngine, "run", run)
    data = make_data(size=(96, 160))
    result = train(data, tiny("max_steps=4"), run_dir=tmp_path, display=display)
    assert memory.refused > 0
    assert (result.bundle / "model.safetensors").is_file()
    assert "out of memory on an image of 160 x 96" in shown()
