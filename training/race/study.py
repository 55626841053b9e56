"""The candidates of a race as trials of an Optuna study in `race.db`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskzoo.models.errors import ZooError
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.race.candidate import Candidate, Combination
from maskzoo.training.race.space import Space

_KEPT = ("state", "reason", "scores", "steps", "total_steps", "seconds", "gap")


@dataclass(frozen=True)
class Terms:
    """What a race is told.

    Args:
        minutes: for the whole race.
        space: of the candidates.
        count: candidates that are drawn; as many of them race as the time lets learn.
        least_steps: of each candidate in the first round.
    """

    minutes: float
    space: Space
    count: int = 9
    least_steps: int = 100


class RaceStudy:
    """The candidates of one race; open it with `open_study`.

    Attributes:
        config: of all candidates, except for the model, of which each has its own.
        minutes: for the whole race.
        least_steps: of each candidate in the first round.
    """

    def __init__(self, study: Any) -> None:
        self._study = study  # an `optuna.Study`; Optuna is an extra
        kept = study.user_attrs
        self.config = TrainConfig.model_validate(kept["config"])
        self.minutes: float = kept["minutes"]
        self.least_steps: int = kept["least_steps"]

    @property
    def numbers(self) -> list[int]:
        """The candidates' numbers."""
        return [trial.number for trial in self._study.trials]

    def candidates(self) -> list[Candidate]:
        """Return the records of all candidates."""
        return [self.candidate(number) for number in self.numbers]

    def candidate(self, number: int) -> Candidate:
        """Return the record of a candidate."""
        trial = self._study.trials[number]
        kept = {key: trial.user_attrs[key] for key in _KEPT if key in trial.user_attrs}
        kept["scores"] = tuple(kept.get("scores", ()))
        kept["gap"] = tuple(kept["gap"]) if kept.get("gap") else None
        return Candidate(number, Combination(**trial.params), **kept)

    def save(self, candidate: Candidate) -> None:
        """Store the record of a candidate; a record that is not running ends its trial.

        A finished trial is not changed: a resumed race repeats its last turn.
        """
        import optuna

        frozen = self._study.trials[candidate.number]
        if frozen.state.is_finished():
            return
        before = self.candidate(candidate.number)
        trial = optuna.trial.Trial(self._study, frozen._trial_id)
        for key in _KEPT:
            trial.set_user_attr(key, getattr(candidate, key))
        if len(candidate.scores) > len(before.scores):
            trial.report(candidate.scores[-1], step=len(candidate.scores))
        states = optuna.trial.TrialState
        if candidate.state == "won":
            self._study.tell(candidate.number, candidate.scores[-1])
        elif candidate.state in ("out", "left out"):
            self._study.tell(candidate.number, state=states.PRUNED)
        elif candidate.state == "failed":
            self._study.tell(candidate.number, state=states.FAIL)


def open_study(
    folder: Path,
    config: TrainConfig,
    *,
    terms: Terms,
    resume: bool,
) -> RaceStudy:
    """Return the study of a race: a new one with its candidates, or the one in `folder`.

    A race that was refused for lack of time, or stopped before its first round, is no obstacle to a
    new one in its folder.

    Raises:
        ZooError: Optuna is missing, or `folder` holds a race although `resume` is false, or holds
            none although it is true.
    """
    try:
        import optuna
    except ImportError:
        raise ZooError("a race needs Optuna: pip install 'maskzoo[race]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = folder / "race.db"
    if resume and not file.exists():
        raise ZooError(f"there is no race in {str(folder)!r}: start it without --resume")
    storage = f"sqlite:///{file.resolve()}"
    if file.exists() and not resume:
        candidates = RaceStudy(optuna.load_study(study_name="race", storage=storage)).candidates()
        if any(candidate.total_steps for candidate in candidates):
            raise ZooError(
                f"{str(folder)!r} already holds a race: continue it with --resume, or choose "
                "another folder with --out"
            )
        optuna.delete_study(study_name="race", storage=storage)
    folder.mkdir(parents=True, exist_ok=True)
    if resume:
        return RaceStudy(optuna.load_study(study_name="race", storage=storage))
    study = optuna.create_study(study_name="race", storage=storage, direction="maximize")
    space, drawn = terms.space, terms.space.draw(terms.count, seed=config.seed)
    study.set_user_attr("config", config.model_dump(mode="json", exclude_unset=True))
    study.set_user_attr("minutes", terms.minutes)
    study.set_user_attr("least_steps", terms.least_steps)
    for combination in drawn:
        study.enqueue_trial(asdict(combination))
    for _ in drawn:
        # the queued values are used; the choices only inform Optuna's tools
        trial = study.ask()
        trial.suggest_categorical("architecture", space.architectures)
        trial.suggest_categorical("encoder", space.encoders)
        trial.suggest_categorical("plugins", space.plugins)
    return RaceStudy(study)
