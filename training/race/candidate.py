"""The record of a candidate in a race, and the ranking of candidates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["running", "out", "won", "failed", "left out"]


@dataclass(frozen=True)
class Combination:
    """Architecture, encoder and plug-ins of a candidate; several plug-ins are joined by a space."""

    architecture: str
    encoder: str
    plugins: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.architecture, self.encoder, self.plugins) if part)


@dataclass(frozen=True)
class Candidate:
    """A combination and its progress.

    Args:
        number: its trial in the Optuna study.
        state: `out` is a candidate that was trained but did not reach the next round; `left out`
            one for which there was no time.
        reason: why it failed or was left out, or what is wrong with what it answers.
        gap: how far it is behind the best of its last round, 0..1: the ends of the interval of
            `training.race.ties`; None for the best itself, and where there is no interval.
        scores: validation mean IoU, 0..1, at the end of each round.
        steps, total_steps: trained so far, and of its whole run; 0 while unknown.
        seconds: spent so far.
    """

    number: int
    combination: Combination
    state: State = "running"
    reason: str = ""
    scores: tuple[float, ...] = ()
    steps: int = 0
    total_steps: int = 0
    seconds: float = 0.0
    gap: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """Architecture, encoder and plug-ins."""
        return str(self.combination)

    @property
    def races(self) -> bool:
        """Whether it can be trained, in the time that there is."""
        return self.state not in ("failed", "left out")

    @property
    def is_tied(self) -> bool:
        """Whether the choice of validation images explains how far it is behind the best."""
        return self.gap is not None and self.gap[0] <= 0


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates, sorted by finished rounds, then by their last score."""
    return sorted(
        candidates,
        key=lambda one: (-len(one.scores), -(one.scores or (0.0,))[-1], one.number),
    )


def places(candidates: Iterable[Candidate]) -> list[tuple[str, Candidate]]:
    """Return the candidates as `ranked` sorts them, each with its place; ``1=`` marks a tie.

    Candidates that are tied with the best of their round share its place. One without a score has
    none.
    """
    in_order = ranked(candidates)
    found = []
    for index, candidate in enumerate(in_order):
        best = next(
            place for place, one in enumerate(in_order) if len(one.scores) == len(candidate.scores)
        )
        tied = any(
            one.is_tied and len(one.scores) == len(candidate.scores) for one in in_order[best + 1 :]
        )
        is_first = index == best or candidate.is_tied
        place = f"{best + 1}{'=' if tied else ''}" if is_first else str(index + 1)
        found.append((place if candidate.scores else "-", candidate))
    return found
