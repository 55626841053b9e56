"""The candidates of a race as an Optuna study in `race.db`, and what is known of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskzoo.models.errors import ZooError
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.race.report import Entry
from maskzoo.training.race.space import KEYS, Space


class RaceStudy:
    """The candidates of one race; open it by `open_study`.

    Attributes:
        config: of all candidates, but for the model that each has of its own.
        minutes: for all of the race.
        count: how many candidates began.
    """

    def __init__(self, study: Any) -> None:
        self._study = study
        kept = study.user_attrs
        self.config = TrainConfig.model_validate(kept["config"])
        self.minutes: float = kept["minutes"]
        self.count: int = kept["count"]

    @property
    def numbers(self) -> list[int]:
        """The candidates' numbers."""
        return [trial.number for trial in self._study.trials]

    def entries(self) -> list[Entry]:
        """Return what is known of all candidates."""
        return [self.entry(number) for number in self.numbers]

    def parts(self, number: int) -> dict[str, str]:
        """Return what a candidate is made of, by `KEYS`."""
        return dict(self._study.trials[number].params)

    def entry(self, number: int) -> Entry:
        """Return what is known of a candidate."""
        parts, kept = self.parts(number), self._study.trials[number].user_attrs
        return Entry(
            number=number,
            name=" ".join(parts[key] for key in KEYS if parts[key]),
            state=kept.get("state", "running"),
            scores=kept.get("scores", []),
            steps=kept.get("steps", 0),
            total_steps=kept.get("total_steps", 0),
            seconds=kept.get("seconds", 0.0),
        )

    def set(self, number: int, **values: Any) -> None:
        """Keep what is known of a candidate; a trial that is over is told so."""
        import optuna

        frozen = self._study.trials[number]
        if frozen.state.is_finished():  # as in a resumed race
            return
        trial = optuna.trial.Trial(self._study, frozen._trial_id)
        for name, value in values.items():
            trial.set_user_attr(name, value)
        if "scores" in values:
            trial.report(values["scores"][-1], step=len(values["scores"]))
        state = values.get("state", "")
        if state == "won":
            self._study.tell(number, self.entry(number).scores[-1])
        elif state:
            states = optuna.trial.TrialState
            self._study.tell(number, state=states.PRUNED if state == "out" else states.FAIL)


def open_study(
    folder: Path,
    config: TrainConfig,
    *,
    minutes: float,
    space: Space,
    count: int,
    resume: bool,
) -> RaceStudy:
    """Return the study of a race: a new one with its candidates, or the one in `folder`."""
    try:
        import optuna
    except ImportError:
        raise ZooError("a race needs Optuna: pip install 'maskzoo[race]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = folder / "race.db"
    if resume != file.exists():
        raise ZooError(
            f"there is no race in {str(folder)!r}: start it without --resume"
            if resume
            else f"{str(folder)!r} already holds a race: go on with it by --resume, or choose "
            "another folder by --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{file.resolve()}"
    if resume:
        return RaceStudy(optuna.load_study(study_name="race", storage=storage))
    study = optuna.create_study(study_name="race", storage=storage, direction="maximize")
    drawn = space.draw(count, seed=config.seed)
    study.set_user_attr("config", config.model_dump(mode="json", exclude_unset=True))
    study.set_user_attr("minutes", minutes)
    study.set_user_attr("count", len(drawn))
    for params in drawn:
        study.enqueue_trial(params)
    for _ in drawn:
        trial = study.ask()
        for key, choices in zip(
            KEYS, (space.architectures, space.encoders, space.plugins), strict=True
        ):
            trial.suggest_categorical(key, choices)
    return RaceStudy(study)
