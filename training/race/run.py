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

import time
from pathlib import Path

from maskzoo.models.errors import ZooError
from maskzoo.training.config.overrides import merge
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.loggers.display import Display
from maskzoo.training.race.report import Entry, leaderboard, write_race_report
from maskzoo.training.race.space import KEEP, Space, fractions, full_seconds, rounds
from maskzoo.training.race.speed import seconds_per_step, seconds_per_validation
from maskzoo.training.race.study import RaceStudy, open_study
from maskzoo.training.run.fit import TrainResult, inspected, prepare, run_steps, train
from maskzoo.training.run.interrupt import TrainingInterrupted
from maskzoo.training.run.loop import LAST, Parts

_FEWEST_STEPS = 3 * KEEP
_LONG = 1_000_000  # epochs: the number of steps ends a run of a race
REPORT = "race.html"


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
    study = open_study(folder, config, minutes=minutes, space=space, count=count, resume=resume)
    display = display or Display()
    opened = inspected(data, study.config, display)
    track = _Race(data, opened, folder, study, display)
    return track.run(full_seconds(study.minutes, study.count))


class _Race:
    def __init__(
        self,
        data: Path,
        opened: SegmentationData,
        folder: Path,
        study: RaceStudy,
        display: Display,
    ) -> None:
        self.data = data
        self.opened = opened
        self.folder = folder
        self.study = study
        self.display = display

    def run(self, seconds: float) -> TrainResult:
        numbers = self.study.numbers
        shares = fractions(len(rounds(len(numbers))))
        for place, share in enumerate(shares):
            for number in numbers:
                entry = self.study.entry(number)
                if len(entry.scores) <= place and not entry.has_failed:
                    self._leg(number, share, seconds, f"round {place + 1} of {len(shares)}")
            alive = [number for number in numbers if not self.study.entry(number).has_failed]
            if not alive:
                raise ZooError(self._all_failed())
            alive.sort(key=lambda number: (-self.study.entry(number).scores[place], number))
            keep = max(1, len(alive) // KEEP) if place + 1 < len(shares) else 1
            for number in alive[keep:]:
                self.study.set(number, state="out")
            numbers = alive[:keep]
        return self._finish(numbers[0])

    def _leg(self, number: int, share: float, seconds: float, title: str) -> None:
        """Train a candidate up to `share` of its run; a candidate that cannot is out."""
        entry = self.study.entry(number)
        self.display.say(f"{title}: {entry.name}")
        began = time.monotonic()
        try:
            parts = self._parts(entry, seconds)
            until = max(1, round(share * parts.total_steps))
            run_steps(parts, until=until)
        except TrainingInterrupted:
            self.study.set(number, seconds=entry.seconds + time.monotonic() - began)
            self.display.say("the race goes on by the same command with --resume")
            raise
        except (ZooError, RuntimeError, ValueError) as error:  # one that cannot run ends no race
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self.study.set(number, state=f"failed: {reason}")
            self.display.say(f"{entry.name} is out: {error}")
            return
        score = parts.progress.best_score or 0.0
        self.study.set(
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
            validations = len(fractions(len(rounds(self.study.count))))
            left = seconds - validations * seconds_per_validation(probe)
            steps = max(_FEWEST_STEPS, int(left / seconds_per_step(probe)))
            if probe.log is not None:
                probe.log.close()
            self.study.set(entry.number, total_steps=steps)
        settings = self._settings(entry, steps)
        return prepare(self.data, settings, run_dir=run_dir, display=quiet, opened=self.opened)

    def _settings(self, entry: Entry, steps: int) -> TrainConfig:
        parts = self.study.parts(entry.number)
        values = self.study.config.model_dump(exclude_unset=True)
        merge(
            values,
            {
                "model": {
                    "architecture": parts["architecture"],
                    "encoder": parts["encoder"],
                    "plugins": parts["plugins"].split(),
                },
                "runtime": {"devices": 1},
                "epochs": _LONG,
                "max_steps": steps,
                "validate_every": _LONG,
            },
        )
        if self.study.config.optimizer.lr == "auto":
            merge(values, {"optimizer": {"lr": "rule"}})
        return TrainConfig.model_validate(values)

    def _finish(self, number: int) -> TrainResult:
        entry = self.study.entry(number)
        self.study.set(number, state="won")
        self._show()
        self.display.say(f"the winner is {entry.name}: mean IoU {entry.scores[-1]:.4f} on val")
        self.display.say(f"report: {self.folder / REPORT}")
        return train(self.data, run_dir=self._run_dir(entry), resume=True, display=self.display)

    def _show(self) -> None:
        entries = self.study.entries()
        self.display.say(leaderboard(entries))
        write_race_report(self.folder / REPORT, f"Race on {self.opened.name}", entries)

    def _run_dir(self, entry: Entry) -> Path:
        name = "-".join(entry.name.split()).replace("@", "-").replace(".", "").replace("*", "all")
        return self.folder / "runs" / f"{entry.number:02}-{name}"

    def _all_failed(self) -> str:
        reasons = "".join(f"\n  - {entry.name}: {entry.state}" for entry in self.study.entries())
        return f"no candidate could be trained:{reasons}"
