"""Times of a step and a validation, by a clock that each of them moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.race.speed import seconds_per_step, seconds_per_validation
from maskzoo.training.run.fit import prepare
from maskzoo.training.run.parts import Parts


@pytest.fixture
def parts(
    discs: Path, tiny: Callable[..., TrainConfig], tmp_path: Path, display: Display
) -> Iterator[Parts]:
    """A run that is ready for its first step."""
    prepared = prepare(discs, tiny(), run_dir=tmp_path / "run", display=display)
    yield prepared
    assert prepared.log is not None
    prepared.log.close()


def test_the_first_step_warms_up_and_the_mean_of_the_others_counts(parts: Parts) -> None:
    now, durations = [0.0], iter([100.0, 2.0, 4.0])
    sizes = []
    step = parts.step

    def timed(images: torch.Tensor, target: torch.Tensor, **options: int) -> object:
        sizes.append((tuple(images.shape), tuple(target.shape)))
        now[0] += next(durations)
        return step(images, target, **options)

    slow = replace(parts, step=timed)  # type: ignore[arg-type]
    assert seconds_per_step(slow, clock=lambda: now[0]) == 3.0
    assert sizes == [((4, 3, 32, 32), (4, 32, 32))] * 3


def test_a_validation_takes_as_long_as_its_middle_image_times_their_number(parts: Parts) -> None:
    now = [0.0]

    def forward(*_: object) -> None:
        now[0] += 0.5

    parts.evaluated.encoder.register_forward_pre_hook(forward)
    assert seconds_per_validation(parts, clock=lambda: now[0]) == 3 * 0.5
    assert not parts.evaluated.training
