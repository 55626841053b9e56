"""The record of a candidate in a race, and the ranking of candidates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["running", "out", "won", "failed"]


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
        state: `out` is a candidate that was trained but did not reach the next round.
        reason: why it failed.
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

    @property
    def name(self) -> str:
        """Architecture, encoder and plug-ins."""
        return str(self.combination)

    @property
    def has_failed(self) -> bool:
        """Whether it could not be trained."""
        return self.state == "failed"


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates, sorted by finished rounds, then by their last score."""
    return sorted(
        candidates,
        key=lambda one: (-len(one.scores), -(one.scores or (0.0,))[-1], one.number),
    )
