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
from maskzoo.training.race.study import Terms, open_study
from maskzoo.training.run.checkpoint import read_run_checkpoint

STEP = {"unet": 1.0, "fpn": 1.0, "pan": 50.0}  # seconds
SPACE = Space(("unet", "fpn", "nothing"), ("tu-resnet10t",), ("",))


@pytest.fixture
def small(tiny: Callable[..., TrainConfig]) -> TrainConfig:
    return tiny("model.options={}", "model.encoder_options={channels: [4, 8, 8, 16]}")


@pytest.fixture(autouse=True)
def _known_paces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates of known speed, whatever the machine does."""
    monkeypatch.setattr(
        module, "seconds_per_step", lambda parts: STEP[parts.config.model.architecture]
    )
    monkeypatch.setattr(module, "seconds_per_validation", lambda parts: 0.0)


def run(data: Path, config: TrainConfig, folder: Path, display: Display, **options: object) -> Path:
    resume = bool(options.pop("resume", False))
    # two candidates of 1 s a step: two legs of 3 steps and one of 6, and 15 % for the rest
    words = {"minutes": 14.2 / 60, "space": SPACE, "count": 3, "least_steps": 3} | options
    return race(
        data,
        config,
        folder=folder,
        terms=Terms(**words),  # type: ignore[arg-type]
        resume=resume,
        display=display,
        clock=lambda: 0.0,
    ).bundle


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
    assert "2 of 2 candidates race" in text
    assert "on val after 3 of 9 steps" in text
    assert text.count("leaderboard") == 2, "one after each round"
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


@pytest.mark.slow
def test_a_candidate_without_time_to_learn_is_left_out_with_the_minutes_it_needs(
    discs: Path,
    small: TrainConfig,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
) -> None:
    space = Space(("unet", "fpn", "pan"), ("tu-resnet10t",), ("",))
    run(discs, small, tmp_path, display, space=space)
    text = shown()
    assert "2 of 3 candidates race" in text
    assert "left out: pan tu-resnet10t: no time: 50 s a step" in text
    needed = 3 * 50 * 3 * (3 / 3 + 2 / 3) / 0.85  # three legs of 150 s and one of 300 s
    assert f"a fair race of all 3 takes {-(-needed // 60):.0f} minutes" in text
    assert [path.name for path in (tmp_path / "runs").iterdir() if (path / "last.ckpt").exists()]


def test_a_race_without_time_for_two_is_refused_before_any_training(
    discs: Path, small: TrainConfig, tmp_path: Path, display: Display
) -> None:
    with pytest.raises(ZooError, match="no time for a race: with 3 steps"):
        run(
            discs,
            small,
            tmp_path,
            display,
            minutes=0.1,
            space=Space(("unet", "fpn"), ("tu-resnet10t",), ("",)),
        )
    assert not list(tmp_path.glob("runs/*/last.ckpt"))


@pytest.mark.parametrize(
    ("encoder", "given", "weights"),
    [
        ("tu-mobilenetv2_100", [], "builtin"),
        ("tu-resnet10t", [], None),
        ("tu-mobilenetv2_100", ["model.encoder_weights=imagenet"], "imagenet"),
    ],
)
def test_an_encoder_whose_weights_ship_starts_from_them(
    discs: Path,
    tiny: Callable[..., TrainConfig],
    tmp_path: Path,
    display: Display,
    encoder: str,
    given: list[str],
    weights: str | None,
) -> None:
    space = Space(("unet",), (encoder,), ("", "scse@decoder"))
    study = open_study(tmp_path, tiny(*given), terms=Terms(1, space), resume=False)
    track = module._Race(discs, None, tmp_path, study, display, lambda: 0.0)  # type: ignore[arg-type]
    assert track._settings(study.candidate(0), 5).model.encoder_weights == weights
