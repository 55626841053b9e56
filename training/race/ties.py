"""Ties: candidates whose scores differ by no more than the choice of validation images explains.

The interval is that of the difference of two mean IoUs, by a bootstrap over the validation images
in which both candidates are scored on the same draw (`training.scoring.bootstrap`). It does not
say how much training again would change.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from maskzoo.training.race.candidate import Candidate
from maskzoo.training.run.loop import VALIDATION
from maskzoo.training.scoring.bootstrap import ImageCounts, difference_interval


class Scoresheet:
    """The counts of each validation image, for each candidate and round of a race.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, number: int, place: int, run_dir: Path) -> ImageCounts:
        """Keep and return what the run in `run_dir` counted at its last validation."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run_dir / VALIDATION, self._path(number, place))
        return self.counts(number, place)

    def counts(self, number: int, place: int) -> ImageCounts:
        """Return the counts of candidate `number` at the end of round `place`."""
        return ImageCounts.load(self._path(number, place))

    def gap(self, best: Candidate, other: Candidate) -> tuple[float, float] | None:
        """Return the interval of how far `other` is behind `best`, after its last round.

        None if there are fewer than two images to draw from.
        """
        place = len(other.scores) - 1
        interval = difference_interval(
            self.counts(best.number, place), self.counts(other.number, place)
        )
        return None if interval is None else (interval.low, interval.high)

    def _path(self, number: int, place: int) -> Path:
        return self.folder / f"{number:02}-{place + 1}.npz"


def lone_class(counts: ImageCounts, names: tuple[str, ...]) -> str | None:
    """Return the class that is all a candidate answers; None if it answers several."""
    answered = counts.predicted.sum(axis=0).nonzero()[0]
    return names[answered[0]] if len(answered) == 1 else None
