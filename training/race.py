"""race: which architecture, encoder and plug-ins suit this data, within so many minutes?

Paper: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
       Optimization", AISTATS 2016, https://arxiv.org/abs/1502.07943 (successive halving)
All candidates train for an equal time, the best third goes on three times as long, and so on until
one is left, which trains to its end and becomes a bundle. A candidate that is paused goes on
exactly where it stood, with the schedule of the whole run: nothing is trained twice.

Candidates are trials of an Optuna study in `race.db`, so a race that was stopped goes on, and any
tool for Optuna reads it. Equal time and not equal steps: a small network may see more images.
The validation score decides; the winner is measured on the test split once, at the end.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.errors import ZooError
from training.config import TrainConfig
from training.data.dataset import SegmentationData
from training.display import Display
from training.fit import TrainResult, inspected, prepare, run_steps, train
from training.interrupt import TrainingInterrupted
from training.loop import LAST, Parts
from training.overrides import merge
from training.race_report import Entry, leaderboard, write_race_report
from training.speed import seconds_per_step, seconds_per_validation

KEEP = 3  # one of so many goes on
_OVERHEAD = 0.85  # of the time is for training; the rest for reading, building, saving
_FEWEST_STEPS = 3 * KEEP
_LONG = 1_000_000  # epochs: the number of steps ends a run of a race
_ARCHITECTURES = (
    *("unet", "deeplabv3plus", "fpn", "danet", "pspnet", "upernet", "segformer", "ocrnet"),
    *("linknet", "pan", "manet", "emanet"),
)
_ENCODERS = {
    "cpu": ("resnet18", "resnet34", "mobilenet_v2"),
    "cuda": ("resnet34", "resnet50", "tu-convnext_tiny"),
    "mps": ("resnet18", "resnet34", "mobilenet_v2"),
}
_KEYS = ("architecture", "encoder", "plugins")
REPORT = "race.html"
_PLUGINS = ("", "scse@decoder", "cbam@encoder.5", "eca@encoder.*")


@dataclass(frozen=True)
class Space:
    """What candidates are made of; several plug-ins in one candidate are joined by a blank."""

    architectures: tuple[str, ...]
    encoders: tuple[str, ...]
    plugins: tuple[str, ...]

    @classmethod
    def of(
        cls, architectures: Sequence[str], encoders: Sequence[str], plugins: Sequence[str]
    ) -> Space:
        """Take what is given, and the usual for this machine where nothing is."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(
            tuple(architectures) or _ARCHITECTURES,
            tuple(encoders) or _ENCODERS[device],
            tuple(plugins) or _PLUGINS,
        )

    def draw(self, count: int, *, seed: int) -> list[dict[str, str]]:
        """Draw different candidates: each architecture once before any comes twice."""
        source = random.Random(seed)
        queues = []
        for architecture in source.sample(self.architectures, len(self.architectures)):
            rest = list(itertools.product(self.encoders, self.plugins))
            queues.append([(architecture, *pair) for pair in source.sample(rest, len(rest))])
        turns = itertools.zip_longest(*queues)
        drawn = [row for turn in turns for row in turn if row is not None][:count]
        return [dict(zip(_KEYS, row, strict=True)) for row in drawn]


def rounds(count: int) -> list[int]:
    """Return how many candidates are in each round: 9, 3, 1."""
    sizes = [count]
    while sizes[-1] > 1:
        sizes.append(max(1, sizes[-1] // KEEP))
    return sizes


def fractions(num_rounds: int) -> list[float]:
    """Return the share of its run that a candidate has done after each round."""
    return [KEEP ** (place - num_rounds + 1) for place in range(num_rounds)]


def full_seconds(minutes: float, count: int) -> float:
    """Return how long one whole run may take so that the race takes `minutes`."""
    shares = fractions(len(rounds(count)))
    cost = sum(
        size * (share - before)
        for size, share, before in zip(rounds(count), shares, [0.0, *shares], strict=False)
    )
    return 60 * minutes * _OVERHEAD / cost


def race(
    data: Path,
    config: TrainConfig,
    *,
    folder: Path,
    minutes: float,
    space: Space,
    count: int = 9,
    resume: bool = False,
    display: Display | None = None,
) -> TrainResult:
    """Let candidates race and return the winner's run, with its bundle.

    Args:
        config: of all candidates, but for the model that each has of its own.
        folder: of the race; each candidate has a run in it.
        minutes: for all of it.
        space: what candidates are made of.
        count: how many candidates begin.
        resume: go on with the race in `folder`, as it was begun.

    Raises:
        ZooError: no candidate could be trained, or the folder holds a race already.
        TrainingInterrupted: Ctrl-C or SIGTERM; the race is saved.
    """
    study = _study(folder, config, minutes=minutes, space=space, count=count, resume=resume)
    display = display or Display()
    stored = study.user_attrs
    config = TrainConfig.model_validate(stored["config"])
    opened = inspected(data, config, display)
    track = _Race(data, opened, config, folder, study, display)
    return track.run(full_seconds(stored["minutes"], stored["count"]))


class _Race:
    def __init__(
        self,
        data: Path,
        opened: SegmentationData,
        config: TrainConfig,
        folder: Path,
        study: Any,
        display: Display,
    ) -> None:
        self.data = data
        self.opened = opened
        self.config = config
        self.folder = folder
        self.study = study
        self.display = display

    def run(self, seconds: float) -> TrainResult:
        numbers = [trial.number for trial in self.study.trials]
        shares = fractions(len(rounds(len(numbers))))
        for place, share in enumerate(shares):
            for number in numbers:
                if len(self._entry(number).scores) <= place and not self._has_failed(number):
                    self._leg(number, share, seconds, f"round {place + 1} of {len(shares)}")
            alive = [number for number in numbers if not self._has_failed(number)]
            if not alive:
                raise ZooError(self._all_failed())
            alive.sort(key=lambda number: (-self._entry(number).scores[place], number))
            keep = max(1, len(alive) // KEEP) if place + 1 < len(shares) else 1
            for number in alive[keep:]:
                self._set(number, state="out")
            numbers = alive[:keep]
        return self._finish(numbers[0])

    def _leg(self, number: int, share: float, seconds: float, title: str) -> None:
        """Train a candidate up to `share` of its run; a candidate that cannot is out."""
        entry = self._entry(number)
        self.display.say(f"{title}: {entry.name}")
        began = time.monotonic()
        try:
            parts = self._parts(entry, seconds)
            until = max(1, round(share * parts.total_steps))
            run_steps(parts, until=until)
        except TrainingInterrupted:
            self._set(number, seconds=entry.seconds + time.monotonic() - began)
            self.display.say("the race goes on by the same command with --resume")
            raise
        except (ZooError, RuntimeError, ValueError) as error:  # one that cannot run ends no race
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._set(number, state=f"failed: {reason}")
            self.display.say(f"{entry.name} is out: {error}")
            return
        score = parts.progress.best_score or 0.0
        self._set(
            number,
            scores=[*entry.scores, score],
            steps=parts.progress.step,
            total_steps=parts.total_steps,
            seconds=entry.seconds + time.monotonic() - began,
        )
        self._show()

    def _parts(self, entry: Entry, seconds: float) -> Parts:
        run_dir = self._run_dir(entry)
        quiet = Display(self.display.console, enabled=False)
        if (run_dir / LAST).exists():
            return prepare(
                self.data, run_dir=run_dir, resume=True, display=quiet, opened=self.opened
            )
        steps = entry.total_steps
        if not steps:
            probe = prepare(
                self.data,
                self._settings(entry, 1),
                run_dir=run_dir,
                display=quiet,
                opened=self.opened,
            )
            validations = len(fractions(len(rounds(self.study.user_attrs["count"]))))
            left = seconds - validations * seconds_per_validation(probe)
            steps = max(_FEWEST_STEPS, int(left / seconds_per_step(probe)))
            if probe.log is not None:
                probe.log.close()
            self._set(entry.number, total_steps=steps)
        settings = self._settings(entry, steps)
        return prepare(self.data, settings, run_dir=run_dir, display=quiet, opened=self.opened)

    def _settings(self, entry: Entry, steps: int) -> TrainConfig:
        params = self._trial(entry.number).params
        values = self.config.model_dump(exclude_unset=True)
        merge(
            values,
            {
                "model": {
                    "architecture": params["architecture"],
                    "encoder": params["encoder"],
                    "plugins": params["plugins"].split(),
                },
                "runtime": {"devices": 1},
                "epochs": _LONG,
                "max_steps": steps,
                "validate_every": _LONG,
            },
        )
        if self.config.optimizer.lr == "auto":
            merge(values, {"optimizer": {"lr": "rule"}})
        return TrainConfig.model_validate(values)

    def _finish(self, number: int) -> TrainResult:
        entry = self._entry(number)
        self._set(number, state="won")
        self._show()
        self.display.say(f"the winner is {entry.name}: mean IoU {entry.scores[-1]:.4f} on val")
        self.display.say(f"report: {self.folder / REPORT}")
        return train(self.data, run_dir=self._run_dir(entry), resume=True, display=self.display)

    def _show(self) -> None:
        entries = [self._entry(trial.number) for trial in self.study.trials]
        self.display.say(leaderboard(entries))
        write_race_report(self.folder / REPORT, f"Race on {self.opened.name}", entries)

    def _trial(self, number: int) -> Any:
        return self.study.trials[number]

    def _entry(self, number: int) -> Entry:
        trial = self._trial(number)
        kept = trial.user_attrs
        return Entry(
            number=number,
            name=" ".join(trial.params[key] for key in _KEYS if trial.params[key]),
            state=kept.get("state", "running"),
            scores=kept.get("scores", []),
            steps=kept.get("steps", 0),
            total_steps=kept.get("total_steps", 0),
            seconds=kept.get("seconds", 0.0),
        )

    def _set(self, number: int, **values: Any) -> None:
        """Keep what is known of a candidate in the study; a trial that is over is told so."""
        import optuna

        frozen = self._trial(number)
        if frozen.state.is_finished():  # as in a resumed race
            return
        trial = optuna.trial.Trial(self.study, frozen._trial_id)
        for name, value in values.items():
            trial.set_user_attr(name, value)
        if "scores" in values:
            trial.report(values["scores"][-1], step=len(values["scores"]))
        state = values.get("state", "")
        if state == "won":
            self.study.tell(number, self._entry(number).scores[-1])
        elif state:
            states = optuna.trial.TrialState
            self.study.tell(number, state=states.PRUNED if state == "out" else states.FAIL)

    def _has_failed(self, number: int) -> bool:
        return self._entry(number).state.startswith("failed")

    def _run_dir(self, entry: Entry) -> Path:
        name = "-".join(entry.name.split()).replace("@", "-").replace(".", "").replace("*", "all")
        return self.folder / "runs" / f"{entry.number:02}-{name}"

    def _all_failed(self) -> str:
        lines = [self._entry(trial.number) for trial in self.study.trials]
        reasons = "".join(f"\n  - {entry.name}: {entry.state}" for entry in lines)
        return f"no candidate could be trained:{reasons}"


def _study(
    folder: Path,
    config: TrainConfig,
    *,
    minutes: float,
    space: Space,
    count: int,
    resume: bool,
) -> Any:
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
        return optuna.load_study(study_name="race", storage=storage)
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
            _KEYS, (space.architectures, space.encoders, space.plugins), strict=True
        ):
            trial.suggest_categorical(key, choices)
    return study
