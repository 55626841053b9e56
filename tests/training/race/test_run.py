"""A race ends with the winner's bundle, keeps to its rounds, and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import ZooError
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.race import run as module
from maskzoo.training.race.run import race
from maskzoo.training.race.space import Space
from maskzoo.training.run.checkpoint import read_run_checkpoint

SPACE = Space(("unet", "fpn", "nothing"), ("tu-resnet10t",), ("",))


@pytest.fixture
def small(tiny: Callable[..., TrainConfig]) -> TrainConfig:
    return tiny("model.options={}", "model.encoder_options={channels: [4, 8, 8, 16]}")


def run(data: Path, config: TrainConfig, folder: Path, display: Display, **options: object) -> Path:
    words = {"minutes": 0.0001, "space": SPACE, "count": 3} | options
    return race(data, config, folder=folder, display=display, **words).bundle  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_race_ends_with_the_bundle_of_the_best_and_a_report(
    discs: Path,
    small: TrainConfig,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
) -> None:
    bundle = run(discs, small, tmp_path, display)
    assert read_manifest(bundle).spec.architecture in ("unet", "fpn")
    progress = read_run_checkpoint(bundle.parent / "last.ckpt").progress
    assert progress.step == 9  # all of a run that is as short as a run can be
    text = shown()
    assert "nothing tu-resnet10t is out: unknown architecture 'nothing'" in text
    assert "the winner is" in text
    page = (tmp_path / "race.html").read_text()
    assert "nothing tu-resnet10t" in page
    assert 'class="won"' in page
    others = [path for path in (tmp_path / "runs").iterdir() if path != bundle.parent]
    steps = [
        read_run_checkpoint(path / "last.ckpt").progress.step
        for path in others
        if (path / "last.ckpt").exists()
    ]
    assert steps == [3]  # the loser saw the first round only
    with pytest.raises(ZooError, match="already holds a race: continue it with --resume"):
        run(discs, small, tmp_path, display)


class _Stopped(BaseException):
    pass


@pytest.mark.slow
def test_a_race_that_lost_power_ends_as_one_that_did_not(
    discs: Path,
    small: TrainConfig,
    tmp_path: Path,
    display: Display,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "seconds_per_step", lambda parts: 1.0)
    whole = run(discs, small, tmp_path / "whole", display)
    taken = []
    steps = module.run_steps

    def stop_after_one(parts: module.Parts, *, until: int) -> None:
        if taken:
            if parts.log is not None:
                parts.log.close()
            raise _Stopped
        taken.append(until)
        steps(parts, until=until)

    monkeypatch.setattr(module, "run_steps", stop_after_one)
    with pytest.raises(_Stopped):
        run(discs, small, tmp_path / "stopped", display)
    monkeypatch.setattr(module, "run_steps", steps)
    again = run(discs, small, tmp_path / "stopped", display, resume=True)
    hashes = {read_manifest(path).weights_sha256 for path in (whole, again)}
    assert len(hashes) == 1
    assert run(discs, small, tmp_path / "stopped", display, resume=True) == again


def test_a_race_without_a_runner_says_why(
    discs: Path, small: TrainConfig, tmp_path: Path, display: Display
) -> None:
    space = Space(("unett", "fpnn"), ("resnet18",), ("",))
    with pytest.raises(ZooError, match="no candidate could be trained") as caught:
        run(discs, small, tmp_path, display, space=space, count=2)
    assert "unett resnet18: unknown architecture 'unett'; did you mean" in str(caught.value)
    assert "fpnn resnet18" in str(caught.value)


def test_there_is_nothing_to_resume_where_no_race_was(
    discs: Path, small: TrainConfig, tmp_path: Path, display: Display
) -> None:
    with pytest.raises(ZooError, match="there is no race in"):
        run(discs, small, tmp_path, display, resume=True)
