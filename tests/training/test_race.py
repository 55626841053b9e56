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
from maskzoo.training.race.report import Entry, leaderboard, ranked, write_race_report
from maskzoo.training.race.run import race
from maskzoo.training.race.space import Space, fractions, full_seconds, rounds
from maskzoo.training.run.checkpoint import read_checkpoint

SPACE = Space(("unet", "fpn", "nothing"), ("tu-resnet10t",), ("",))


@pytest.mark.parametrize(("count", "sizes"), [(9, [9, 3, 1]), (2, [2, 1]), (10, [10, 3, 1])])
def test_a_third_goes_on(count: int, sizes: list[int]) -> None:
    assert rounds(count) == sizes


def test_the_rounds_fill_the_time() -> None:
    assert fractions(3) == pytest.approx([1 / 9, 1 / 3, 1])
    whole = full_seconds(10, 9)
    legs = 9 * whole / 9 + 3 * whole * (1 / 3 - 1 / 9) + whole * (1 - 1 / 3)
    assert legs == pytest.approx(0.85 * 600)


def test_candidates_differ_and_each_architecture_comes_first_once() -> None:
    space = Space(("a", "b", "c"), ("x", "y"), ("", "p"))
    drawn = space.draw(7, seed=3)
    assert {row["architecture"] for row in drawn[:3]} == {"a", "b", "c"}
    assert len({tuple(row.values()) for row in drawn}) == 7
    assert len(space.draw(100, seed=3)) == 12
    assert space.draw(7, seed=3) == drawn
    assert space.draw(7, seed=4) != drawn


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
    progress = read_checkpoint(bundle.parent / "last.ckpt").progress
    assert progress.step == 9  # all of a run that is as short as a run can be
    text = shown()
    assert "nothing tu-resnet10t is out: unknown architecture 'nothing'" in text
    assert "the winner is" in text
    page = (tmp_path / "race.html").read_text()
    assert "nothing tu-resnet10t" in page
    assert 'class="won"' in page
    others = [path for path in (tmp_path / "runs").iterdir() if path != bundle.parent]
    steps = [
        read_checkpoint(path / "last.ckpt").progress.step
        for path in others
        if (path / "last.ckpt").exists()
    ]
    assert steps == [3]  # the loser saw the first round only
    with pytest.raises(ZooError, match="already holds a race: go on with it by --resume"):
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
    with pytest.raises(ZooError, match="no candidate could be trained") as told:
        run(discs, small, tmp_path, display, space=space, count=2)
    assert "unett resnet18: failed: unknown architecture 'unett'; did you mean" in str(told.value)
    assert "fpnn resnet18" in str(told.value)


def test_there_is_nothing_to_resume_where_no_race_was(
    discs: Path, small: TrainConfig, tmp_path: Path, display: Display
) -> None:
    with pytest.raises(ZooError, match="there is no race in"):
        run(discs, small, tmp_path, display, resume=True)


def test_the_leaderboard_has_who_came_further_first(tmp_path: Path) -> None:
    entries = [
        Entry(0, "unet <a>", "out", [0.9], 3, 9, 60),
        Entry(1, "fpn", "won", [0.5, 0.6], 9, 9, 180),
        Entry(2, "danet", "failed: no", [], 0, 0, 6),
    ]
    assert [entry.name for entry in ranked(entries)] == ["fpn", "unet <a>", "danet"]
    text = leaderboard(entries)
    assert text.index("fpn") < text.index("unet") < text.index("danet")
    page = write_race_report(tmp_path / "race.html", "Race on <data>", entries).read_text()
    assert "unet &lt;a&gt;" in page
    assert "Race on &lt;data&gt;" in page
    assert "<a>" not in page
