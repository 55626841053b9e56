"""The race: finds the architecture, encoder and plug-ins that suit a data set in limited time.

Paper: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
       Optimization", AISTATS 2016, https://arxiv.org/abs/1502.07943 (successive halving)
Candidates are measured first; as many race as the time lets learn (`training.race.planning`). All
of them train for the same time, the best third continues for three times as long, and so on until
one is left, which trains to its end and becomes a bundle. A paused candidate resumes exactly where
it stopped, on the schedule of the whole run, so no step is repeated. A difference that the choice
of validation images explains is marked as a tie (`training.race.ties`).

Candidates are trials of an Optuna study in `race.db`, so a race that was stopped can be resumed,
and any tool for Optuna reads it. Candidates get the same time, not the same number of steps: a
small network may see more images. An encoder whose weights ship starts from them, unless the
settings say otherwise. The validation score decides; the winner is measured on the test split once,
at the end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.models.errors import ZooError
from maskzoo.models.weights.builtin import BUILTIN
from maskzoo.models.weights.source import BUILTIN_SOURCE
from maskzoo.training.config.overrides import merge
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.loggers.display import Display
from maskzoo.training.race.candidate import Candidate, State
from maskzoo.training.race.leaderboard import leaderboard, write_race_report
from maskzoo.training.race.planning import Pace, RacePlan, minutes_of, plan_race
from maskzoo.training.race.space import KEEP, fractions, rounds
from maskzoo.training.race.speed import Clock, seconds_per_step, seconds_per_validation
from maskzoo.training.race.study import RaceStudy, Terms, open_study
from maskzoo.training.race.ties import Scoresheet, lone_class
from maskzoo.training.run.checkpoint import LAST
from maskzoo.training.run.fit import TrainResult, prepare, run_steps, train
from maskzoo.training.run.interrupt import TrainingInterrupted
from maskzoo.training.run.opening import inspected
from maskzoo.training.run.parts import Parts

_LONG = 1_000_000  # epochs; the number of steps ends a run in a race
REPORT = "race.html"


def race(
    data: Path,
    config: TrainConfig,
    *,
    folder: Path,
    terms: Terms,
    resume: bool = False,
    display: Display | None = None,
    clock: Clock = time.monotonic,
) -> TrainResult:
    """Run a race and return the winner's run, with its bundle.

    Args:
        config: of all candidates, except for the model, of which each has its own.
        folder: of the race; each candidate has a run in it.
        terms: how long the race takes, and of which candidates.
        resume: continue the race in `folder`, with its original settings.
        clock: seconds.

    Raises:
        ZooError: no candidate could be trained, there is no time for two, or the folder holds a
            race already.
        TrainingInterrupted: Ctrl-C or SIGTERM; the race is saved.
    """
    start = clock()
    study = open_study(folder, config, terms=terms, resume=resume)
    display = display or Display()
    opened = inspected(data, study.config, display)
    track = _Race(data, opened, folder, study, display, clock)
    if not any(candidate.total_steps for candidate in study.candidates()):
        track.line_up(start)
    return track.run()


class _Race:
    def __init__(
        self,
        data: Path,
        opened: SegmentationData,
        folder: Path,
        study: RaceStudy,
        display: Display,
        clock: Clock,
    ) -> None:
        self.data = data
        self.opened = opened
        self.folder = folder
        self.study = study
        self.display = display
        self.clock = clock
        self.sheet = Scoresheet(folder / "validations")

    def line_up(self, start: float) -> None:
        """Measure all candidates and decide who races; `start` is when the race began."""
        paces = [pace for one in self.study.candidates() if (pace := self._pace(one)) is not None]
        if not paces:
            raise ZooError(self._all_failed())
        spent = self.clock() - start
        if len(paces) == 1:  # nobody to race with, so all the time is its own
            steps = int(60 * self.study.minutes / paces[0].step)
            self._update(paces[0].number, total_steps=max(self.study.least_steps, steps))
            return
        left = 60 * self.study.minutes - spent
        plan = plan_race(paces, seconds=left, least_steps=self.study.least_steps)
        for number, steps in plan.steps.items():
            self._update(number, total_steps=steps)
        for pace in plan.left_out:
            reason = f"no time: {pace.step:.2g} s a step, {pace.validation:.2g} s a validation"
            self._update(pace.number, state="left out", reason=reason)
        self.display.notify(self._told(plan, spent))

    def _told(self, plan: RacePlan, spent: float) -> str:
        """Return for a person who races, who does not, and how long all would take."""
        least, minutes = self.study.least_steps, self.study.minutes
        drawn = len(plan.steps) + len(plan.left_out)
        lines = [
            f"{len(plan.steps)} of {drawn} candidates race: in {minutes:g} minutes each of them "
            f"takes at least {least} steps in the first round"
        ]
        lines += [f"left out: {one.name}: {one.reason}" for one in self._in_state("left out")]
        if plan.left_out:
            fair = minutes_of(plan.fair_seconds + spent)
            lines.append(f"a fair race of all {drawn} takes {fair} minutes: --minutes {fair}")
        return "\n".join(lines)

    def _in_state(self, state: State) -> list[Candidate]:
        return [one for one in self.study.candidates() if one.state == state]

    def _pace(self, candidate: Candidate) -> Pace | None:
        """Return the measured pace of a candidate; one that cannot train is out."""
        try:
            probe = self._prepared(candidate, 1)
            try:
                pace = Pace(
                    candidate.number, seconds_per_step(probe), seconds_per_validation(probe)
                )
            finally:
                if probe.log is not None:
                    probe.log.close()
        except (ZooError, RuntimeError, ValueError) as error:  # must not end the others' race
            self._fail(candidate, error)
            return None
        self.display.notify(
            f"{candidate.name}: {pace.step:.2g} s a step, {pace.validation:.2g} s a validation"
        )
        return pace

    def run(self) -> TrainResult:
        """Run all rounds."""
        numbers = [one.number for one in self.study.candidates() if one.total_steps]
        ends = fractions(len(rounds(len(numbers))))
        for place, end in enumerate(ends):
            for number in numbers:
                candidate = self.study.candidate(number)
                if len(candidate.scores) <= place and candidate.races:
                    self._leg(candidate, place, end, f"round {place + 1} of {len(ends)}")
            alive = [one for one in map(self.study.candidate, numbers) if one.races]
            if not alive:
                raise ZooError(self._all_failed())
            alive.sort(key=lambda candidate: (-candidate.scores[place], candidate.number))
            self._compare(alive)
            keep = max(1, len(alive) // KEEP) if place + 1 < len(ends) else 1
            for candidate in alive[keep:]:
                self._update(candidate.number, state="out")
            numbers = [candidate.number for candidate in alive[:keep]]
            if place + 1 < len(ends):  # the last leaderboard names the winner
                self._show()
        return self._finish(numbers[0])

    def _compare(self, alive: Sequence[Candidate]) -> None:
        """Keep how far each candidate is behind the first, and say so if none has learned."""
        for candidate in alive:
            gap = None if candidate is alive[0] else self.sheet.gap(alive[0], candidate)
            self._update(candidate.number, gap=gap)
        if len(alive) > 1 and all(candidate.reason for candidate in alive):
            self.display.notify(
                "no candidate has learned yet, so their order means nothing: give more --minutes, "
                "or more --least-steps, so that fewer of them race"
            )

    def _leg(self, candidate: Candidate, place: int, end: float, title: str) -> None:
        """Train a candidate up to the fraction `end` of its run; one that cannot train is out."""
        number = candidate.number
        self.display.notify(f"{title}: {candidate.name}")
        start = self.clock()
        try:
            parts = self._parts(candidate)
            run_steps(parts, until=max(1, round(end * parts.lengths.total_steps)))
        except TrainingInterrupted:
            self._update(number, seconds=candidate.seconds + self.clock() - start)
            self.display.notify("continue the race by the same command with --resume")
            raise
        except (ZooError, RuntimeError, ValueError) as error:  # must not end the others' race
            self._fail(candidate, error)
            return
        counts = self.sheet.keep(number, place, self._run_dir(candidate))
        lone = lone_class(counts, self.opened.labels.names)
        reason = "" if lone is None else f"answers {lone!r} for every pixel"
        seconds = candidate.seconds + self.clock() - start
        self._update(
            number,
            scores=(*candidate.scores, counts.mean_iou),
            steps=parts.progress.step,
            seconds=seconds,
            reason=reason,
        )
        self.display.notify(
            f"  mean IoU {counts.mean_iou:.4f} on val after {parts.progress.step} of "
            f"{parts.lengths.total_steps} steps, {seconds / 60:.1f} minutes"
            + (f"; {reason}" if reason else "")
        )

    def _fail(self, candidate: Candidate, error: Exception) -> None:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        self._update(candidate.number, state="failed", reason=reason)
        self.display.notify(f"{candidate.name} is out: {error}")

    def _update(self, number: int, **changes: Any) -> None:
        """Update the record of a candidate; `changes` are fields of `Candidate`."""
        self.study.save(replace(self.study.candidate(number), **changes))

    def _parts(self, candidate: Candidate) -> Parts:
        """Return the parts of a candidate's run: where it stopped, or at its start."""
        run_dir = self._run_dir(candidate)
        if (run_dir / LAST).exists():
            quiet = Display(self.display.console, enabled=False)
            return prepare(
                self.data, run_dir=run_dir, resume=True, display=quiet, opened=self.opened
            )
        return self._prepared(candidate, candidate.total_steps)

    def _prepared(self, candidate: Candidate, steps: int) -> Parts:
        """Return the parts of a candidate's new run of `steps` steps."""
        return prepare(
            self.data,
            self._settings(candidate, steps),
            run_dir=self._run_dir(candidate),
            display=Display(self.display.console, enabled=False),
            opened=self.opened,
        )

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
        model = self.study.config.model
        is_open = model.encoder_weights is None and model.start_from is None
        if is_open and combination.encoder in BUILTIN:
            merge(values, {"model": {"encoder_weights": BUILTIN_SOURCE}})
        if self.study.config.optimizer.lr == "auto":
            merge(values, {"optimizer": {"lr": "rule"}})
        return TrainConfig.model_validate(values)

    def _finish(self, number: int) -> TrainResult:
        """Write the winner's bundle."""
        winner = self.study.candidate(number)
        self._update(number, state="won")
        self._show()
        self.display.notify(f"the winner is {winner.name}: mean IoU {winner.scores[-1]:.4f} on val")
        tied = [one.name for one in self._in_state("out") if self._is_tied(winner, one)]
        if tied:
            self.display.notify(
                f"not told apart from it by the validation images when they left: {', '.join(tied)}"
            )
        self.display.notify(f"report: {self.folder / REPORT}")
        return train(self.data, run_dir=self._run_dir(winner), resume=True, display=self.display)

    def _is_tied(self, winner: Candidate, other: Candidate) -> bool:
        return replace(other, gap=self.sheet.gap(winner, other)).is_tied

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
