"""What a resumed run keeps, and what it may change; whole runs are in tests/training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maskzoo.models.errors import SpecError, ZooError
from maskzoo.training.config.load import load_config
from maskzoo.training.config.run_config import RunConfig
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.run.checkpoint import (
    CheckpointError,
    RunCheckpoint,
    RunProgress,
    write_run_checkpoint,
)
from maskzoo.training.run.parts import Parts
from maskzoo.training.run.resume import find_checkpoint, resumed_config


@pytest.fixture
def stored(make_parts: Callable[..., Parts]) -> RunConfig:
    """The configuration of a run."""
    return make_parts().config


def _checkpoint(config: RunConfig, **others: object) -> RunCheckpoint:
    values = config.model_dump(mode="json") | others
    return RunCheckpoint({}, {}, {}, RunProgress(), values, fingerprint="")


def test_a_new_run_has_no_checkpoint_and_writes_over_none(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path, resume=False) is None
    with pytest.raises(CheckpointError, match="No such file"):
        find_checkpoint(tmp_path, resume=True)
    kept = RunCheckpoint({}, {}, {}, RunProgress(step=3), {}, fingerprint="abc")
    write_run_checkpoint(tmp_path / "last.ckpt", kept)
    assert find_checkpoint(tmp_path, resume=True) == kept
    with pytest.raises(ZooError, match="already holds a run: continue it with --resume"):
        find_checkpoint(tmp_path, resume=False)


def test_without_settings_a_run_goes_on_as_it_was(stored: RunConfig) -> None:
    assert resumed_config(_checkpoint(stored), TrainConfig()) == stored


def test_the_same_values_and_open_ones_change_nothing(stored: RunConfig) -> None:
    given = load_config(["batch_size=4", "epochs=auto", "optimizer.lr=rule", "bundle.name=auto"])
    assert resumed_config(_checkpoint(stored), given) == stored


def test_what_does_not_touch_the_training_may_change(stored: RunConfig) -> None:
    settings = ["loader.num_workers=2", "checkpoint_minutes=1", "bundle.name=other"]
    changed = resumed_config(_checkpoint(stored), load_config(settings))
    expected = stored.model_dump()
    expected["loader"]["num_workers"] = 2
    expected["checkpoint_minutes"] = 1.0
    expected["bundle"]["name"] = "other"
    assert changed.model_dump() == expected


def test_what_would_make_another_run_is_refused_key_by_key(stored: RunConfig) -> None:
    with pytest.raises(SpecError, match="a resumed run keeps its configuration") as caught:
        resumed_config(_checkpoint(stored), load_config(["seed=4", "ema=0.5"]))
    assert caught.value.mistakes == [
        "seed is 0 in this run, given 4",
        "ema is 0.999 in this run, given 0.5",
    ]


def test_a_configuration_of_another_version_is_refused(stored: RunConfig) -> None:
    with pytest.raises(CheckpointError, match="another version of maskzoo: wings: unknown key"):
        resumed_config(_checkpoint(stored, wings=2), TrainConfig())
