"""The race: finds the architecture, encoder and plug-ins that suit a data set in limited time.

Paper: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
       Optimization", AISTATS 2016, https://arxiv.org/abs/1502.07943 (successive halving)
All candidates train for the same time, the best third continues for three times as long, and so on
until one is left, which trains to its end and becomes a bundle. A paused candidate resumes exactly
where it stopped, on the schedule of the whole run, so no step is repeated.

Candidates are trials of an Optuna study in `race.db`, so a race that was stopped can be resumed,
and any tool for Optuna reads it. Candidates get the same time, not the same number of steps: a
small network may see more images. The validation score decides; the winner is measured on the test
split once, at the end.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.models.errors import ZooError
from maskzoo.training.config.overrides import merge
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.loggers.display import Display
from maskzoo.training.race.candidate import Candidate
from maskzoo.training.race.leaderboard import leaderboard, write_race_report
from maskzoo.training.race.space import KEEP, Space, fractions, full_seconds, rounds
from maskzoo.training.race.speed import seconds_per_step, seconds_per_validation
from maskzoo.training.race.study import RaceStudy, open_study
from maskzoo.training.run.checkpoint import LAST
from maskzoo.training.run.fit import TrainResult, prepare, run_steps, train
from maskzoo.training.run.interrupt import TrainingInterrupted
from maskzoo.training.run.opening import inspected
from maskzoo.training.run.parts import Parts

_FEWEST_STEPS = 3 * KEEP
_LONG = 1_000_000  # epochs; the number of steps ends a run in a race
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
    """Run a race and return the winner's run, with its bundle.

    Args:
        config: of all candidates, except for the model, of which each has its own.
        folder: of the race; each candidate has a run in it.
        minutes: for the whole race.
        space: of the candidates.
        count: candidates at the start.
        resume: continue the race in `folder`, with its original settings.

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
        """Run all rounds; `seconds` are for one whole run."""
        numbers = self.study.numbers
        ends = fractions(len(rounds(len(numbers))))
        for place, end in enumerate(ends):
            for number in numbers:
                candidate = self.study.candidate(number)
                if len(candidate.scores) <= place and not candidate.has_failed:
                    self._leg(candidate, end, seconds, f"round {place + 1} of {len(ends)}")
            alive = [one for one in map(self.study.candidate, numbers) if not one.has_failed]
            if not alive:
                raise ZooError(self._all_failed())
            alive.sort(key=lambda candidate: (-candidate.scores[place], candidate.number))
            keep = max(1, len(alive) // KEEP) if place + 1 < len(ends) else 1
            for candidate in alive[keep:]:
                self._update(candidate.number, state="out")
            numbers = [candidate.number for candidate in alive[:keep]]
        return self._finish(numbers[0])

    def _leg(self, candidate: Candidate, end: float, seconds: float, title: str) -> None:
        """Train a candidate up to the fraction `end` of its run; one that cannot train is out."""
        number = candidate.number
        self.display.notify(f"{title}: {candidate.name}")
        start = time.monotonic()
        try:
            parts = self._parts(candidate, seconds)
            run_steps(parts, until=max(1, round(end * parts.lengths.total_steps)))
        except TrainingInterrupted:
            self._update(number, seconds=candidate.seconds + time.monotonic() - start)
            self.display.notify("continue the race by the same command with --resume")
            raise
        except (ZooError, RuntimeError, ValueError) as error:  # must not end the others' race
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._update(number, state="failed", reason=reason)
            self.display.notify(f"{candidate.name} is out: {error}")
            return
        score = parts.progress.best_score or 0.0
        self._update(
            number,
            scores=(*candidate.scores, score),
            steps=parts.progress.step,
            total_steps=parts.lengths.total_steps,
            seconds=candidate.seconds + time.monotonic() - start,
        )
        self._show()

    def _update(self, number: int, **changes: Any) -> None:
        """Update the record of a candidate; `changes` are fields of `Candidate`."""
        self.study.save(replace(self.study.candidate(number), **changes))

    def _parts(self, candidate: Candidate, seconds: float) -> Parts:
        """Return the parts of a candidate's run: where it stopped, or at its start."""
        run_dir = self._run_dir(candidate)
        quiet = Display(self.display.console, enabled=False)
        if (run_dir / LAST).exists():
            return prepare(
                self.data, run_dir=run_dir, resume=True, display=quiet, opened=self.opened
            )
        steps = candidate.total_steps
        if not steps:
            probe = prepare(
                self.data,
                self._settings(candidate, 1),
                run_dir=run_dir,
                display=quiet,
                opened=self.opened,
            )
            validations = len(fractions(len(rounds(self.study.count))))
            left = seconds - validations * seconds_per_validation(probe)
            steps = max(_FEWEST_STEPS, int(left / seconds_per_step(probe)))
            if probe.log is not None:
                probe.log.close()
            self._update(candidate.number, total_steps=steps)
        settings = self._settings(candidate, steps)
        return prepare(self.data, settings, run_dir=run_dir, display=quiet, opened=self.opened)

    def _settings(self, candidate: Candidate, steps: int) -> TrainConfig:
        """Return the configuration of the race with a candidate's model, for `steps` steps."""
        combination = candidate.combination
        values = self.study.config.model_dump(exclude_unset=True)
        merge(
            values,
            {
                "model": {
                    "architecture": combination.architecture,
                    "encoder": combination.encoder,
                    "plugins": combination.plugins.split(),
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
        """Write the winner's bundle."""
        winner = self.study.candidate(number)
        self._update(number, state="won")
        self._show()
        self.display.notify(f"the winner is {winner.name}: mean IoU {winner.scores[-1]:.4f} on val")
        self.display.notify(f"report: {self.folder / REPORT}")
        return train(self.data, run_dir=self._run_dir(winner), resume=True, display=self.display)

    def _show(self) -> None:
        candidates = self.study.candidates()
        self.display.notify(leaderboard(candidates))
        write_race_report(self.folder / REPORT, f"Race on {self.opened.name}", candidates)

    def _run_dir(self, candidate: Candidate) -> Path:
        words = "-".join(candidate.name.split())
        name = words.replace("@", "-").replace(".", "").replace("*", "all")
        return self.folder / "runs" / f"{candidate.number:02}-{name}"

    def _all_failed(self) -> str:
        reasons = "".join(f"\n  - {one.name}: {one.reason}" for one in self.study.candidates())
        return f"no candidate could be trained:{reasons}"
