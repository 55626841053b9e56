"""A run that is ready for its first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.fit import prepare
from maskzoo.training.run.parts import Parts

MakeParts = Callable[..., Parts]


@pytest.fixture
def make_parts(
    discs: Path, tiny: Callable[..., TrainConfig], tmp_path: Path, display: Display
) -> Iterator[MakeParts]:
    """Prepare a run on the discs: make_parts("max_steps=3", …)."""
    made: list[Parts] = []

    def make(*overrides: str) -> Parts:
        made.append(
            prepare(discs, tiny(*overrides), run_dir=tmp_path / f"{len(made)}", display=display)
        )
        return made[-1]

    yield make
    for parts in made:
        if parts.log is not None:
            parts.log.close()
