"""The study of a race: what is stored is read back, and a folder holds one race."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from maskzoo.models.errors import ZooError
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.race.candidate import Combination
from maskzoo.training.race.space import Space
from maskzoo.training.race.study import RaceStudy, Terms, open_study

optuna = pytest.importorskip("optuna")

SPACE = Space(("unet", "fpn"), ("resnet18",), ("", "eca@encoder.* scse@decoder"))
Open = Callable[..., RaceStudy]


@pytest.fixture
def opened(tiny: Callable[..., TrainConfig], tmp_path: Path) -> Open:
    """Return a function that opens the race in one folder."""

    def make(*, resume: bool = False) -> RaceStudy:
        config = tiny("seed=5")
        terms = Terms(2.5, SPACE, count=3, least_steps=7)
        return open_study(tmp_path / "race", config, terms=terms, resume=resume)

    return make


def test_a_resumed_study_has_the_candidates_and_settings_of_its_start(opened: Open) -> None:
    study = opened()
    assert study.numbers == [0, 1, 2]
    assert [one.combination for one in study.candidates()] == SPACE.draw(3, seed=5)
    again = opened(resume=True)
    assert again.candidates() == study.candidates()
    assert (again.minutes, again.least_steps, again.config) == (2.5, 7, study.config)
    assert again.config.seed == 5


def test_what_is_saved_of_a_candidate_is_read_back(opened: Open) -> None:
    study = opened()
    first = replace(
        study.candidate(0), scores=(0.25,), steps=3, total_steps=9, seconds=1.5, gap=(-0.1, 0.2)
    )
    study.save(first)
    assert opened(resume=True).candidate(0) == first
    assert study.candidate(1).combination == SPACE.draw(3, seed=5)[1]
    further = replace(first, scores=(0.25, 0.5), steps=9)
    study.save(further)
    study.save(further)  # the same score again is not reported again
    assert study.candidate(0) == further


def test_states_end_the_trials_as_optuna_calls_it_and_an_ended_trial_stays(
    opened: Open, tmp_path: Path
) -> None:
    study = opened()
    won, out, failed = (replace(one, scores=(0.5,)) for one in study.candidates())
    for candidate in (won, out):
        study.save(candidate)
    study.save(replace(out, state="out"))
    study.save(replace(failed, scores=(), state="failed", reason="no memory"))
    study.save(replace(won, state="won"))
    study.save(replace(study.candidate(0), state="out"))
    assert [one.state for one in study.candidates()] == ["won", "out", "failed"]
    assert study.candidate(2).reason == "no memory"
    storage = f"sqlite:///{tmp_path / 'race' / 'race.db'}"
    trials = optuna.load_study(study_name="race", storage=storage).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert trials[0].value == 0.5
    assert [trial.intermediate_values for trial in trials] == [{1: 0.5}, {1: 0.5}, {}]


def test_a_folder_holds_one_race_and_an_empty_one_none_to_resume(opened: Open) -> None:
    with pytest.raises(ZooError, match=r"there is no race in .*: start it without --resume"):
        opened(resume=True)
    study = opened()
    study.save(replace(study.candidate(0), total_steps=9))
    with pytest.raises(ZooError, match="already holds a race: continue it with --resume"):
        opened()


def test_a_race_that_was_refused_is_no_obstacle_to_one_of_more_minutes(opened: Open) -> None:
    study = opened()
    study.save(replace(study.candidate(0), state="failed", reason="no memory"))
    again = opened()
    assert [one.state for one in again.candidates()] == ["running"] * 3
    assert opened(resume=True).candidates() == again.candidates()


def test_combinations_are_named_by_their_parts(opened: Open) -> None:
    names = {one.name for one in opened().candidates()}
    assert names <= {
        str(Combination(architecture, "resnet18", plugins))
        for architecture in SPACE.architectures
        for plugins in SPACE.plugins
    }
