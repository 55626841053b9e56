"""The account of a folder: what became of every file and of every annotation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.models.errors import DataError, counted
from maskzoo.training.data.records.rawmask import ShapeTally
from maskzoo.training.data.records.readings.index import LeftOut
from maskzoo.training.data.records.shape import Annotations

_EXAMPLES = 5  # of a reason
# Kinds of annotations that belong to no sample.
NOT_THERE = "of images that are not there"
NOT_LISTED = "of images that the file does not list"
SECOND = "in a second entry of their image"
EXCLUDED = "of images that are excluded"
UNREADABLE = "of images or files that cannot be read"
NO_OBJECT = "that are not objects of json"


@dataclass(frozen=True)
class Account:
    """What became of the files below a folder.

    Args:
        root: the folder.
        used: files by what they are used as: images, masks, annotations, lists …
        left_out: the other files, with the reasons; every file is named once.
    """

    root: Path
    used: Mapping[str, tuple[Path, ...]]
    left_out: tuple[LeftOut, ...]

    @property
    def found(self) -> int:
        """Number of files: those that are used, and those that are left out."""
        return self.num_used + self.num_left_out

    @property
    def num_used(self) -> int:
        """Number of files that are used."""
        return sum(map(len, self.used.values()))

    @property
    def num_left_out(self) -> int:
        """Number of files that are left out."""
        return sum(len(left.files) for left in self.left_out)

    def lines(self) -> list[str]:
        """Return the account for people."""
        roles = ", ".join(
            counted(len(files), role.removesuffix("s"), role)
            for role, files in self.used.items()
            if files
        )
        first = f"files: {self.found} found = {self.num_used} used ({roles})"
        if not self.left_out:
            return [first]
        rows = [
            f"  {len(left.files)} left out: {left.reason} ({self._examples(left, most=2)})"
            for left in self.left_out
        ]
        return [f"{first} + {self.num_left_out} left out", *rows]

    def to_json(self) -> dict[str, Any]:
        """Return the account of the files as plain JSON values."""
        return {
            "found": self.found,
            "used": {role: len(files) for role, files in self.used.items()},
            "left_out": [
                {
                    "reason": left.reason,
                    "count": len(left.files),
                    "examples": [self._below(path) for path in left.files[:_EXAMPLES]],
                }
                for left in self.left_out
            ],
        }

    def _examples(self, left: LeftOut, *, most: int) -> str:
        shown = ", ".join(self._below(path) for path in left.files[:most])
        return shown + (" …" if len(left.files) > most else "")

    def _below(self, path: Path) -> str:
        below = path.is_relative_to(self.root)
        return path.relative_to(self.root).as_posix() if below else str(path)


def total_tally(tallies: Iterable[ShapeTally], lost: Mapping[str, int]) -> dict[str, Any]:
    """Return the account of all annotations as plain JSON values.

    Args:
        tallies: those of all samples.
        lost: annotations that belong to no sample, by kind.
    """
    drawn = covered = 0
    found = sum(lost.values())
    not_drawn = Counter(lost)
    for tally in tallies:
        found, drawn, covered = found + tally.found, drawn + tally.drawn, covered + tally.covered
        not_drawn.update(tally.not_drawn)
    return {"found": found, "drawn": drawn, "covered": covered, "not_drawn": dict(not_drawn)}


def lost_in(annotations: Annotations, files: Iterable[Path]) -> dict[str, int]:
    """Return the number of annotations in files of images that are not there, by kind."""
    number = sum(number_in(annotations, file) for file in files)
    return {NOT_THERE: number} if number else {}


def number_in(annotations: Annotations, file: Path, image: Path | None = None) -> int:
    """Return the number of annotations of an image in a file; 0 where it cannot be read."""
    try:
        found = annotations.read(image or file, file)
    except DataError:
        return 0
    return len(found.shapes) + len(found.not_drawn)
