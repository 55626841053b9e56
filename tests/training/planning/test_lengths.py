"""Crops of an epoch and steps of a run, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo.training.config.load import load_config
from maskzoo.training.config.run_config import RunConfig
from maskzoo.training.planning.lengths import RunLengths, crop_counts, run_lengths
from maskzoo.training.planning.machine import choose_machine
from maskzoo.training.planning.plan import resolve
from maskzoo.training.planning.survey import Survey

SIZES = [(50, 50), (100, 149), (200, 200), (1000, 1000)]


def test_large_images_are_cropped_more_often() -> None:
    assert crop_counts("area", (100, 100), SIZES) == [1, 1, 4, 16]
    assert crop_counts("area", (100, 200), SIZES) == [1, 1, 2, 16]
    assert crop_counts(3, (100, 100), SIZES) == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("settings", "lengths"),
    [
        (["epochs=7", "batch_size=4"], RunLengths(6, 42)),  # 22 crops: 5.5 steps are 6
        (["epochs=7", "batch_size=4", "max_steps=20"], RunLengths(6, 20)),
        (["epochs=2", "batch_size=4", "max_steps=20"], RunLengths(6, 12)),
        (["epochs=3", "batch_size=100"], RunLengths(1, 3)),
    ],
)
def test_a_run_ends_with_its_epochs_or_with_its_steps(
    settings: list[str], lengths: RunLengths
) -> None:
    assert run_lengths(_config("loader.crop_size=100", *settings), SIZES) == lengths


def _config(*settings: str) -> RunConfig:
    machine = choose_machine(load_config(settings))
    seen = Survey("a", (200, 200), SIZES, ("x", "y"), np.array([1, 1]), (4, 4), None, "")
    return resolve(machine, seen).config
