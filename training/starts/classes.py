"""Classes of a run and of the bundle that it starts from, matched by name."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ClassMatch:
    """For each class of the run, the class of the bundle with the same name.

    Args:
        ours, theirs: the classes, in the order of their ids.
        rows: for each of ours, its id in the bundle; None where the bundle does not have it.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    rows: tuple[int | None, ...]

    @classmethod
    def of(cls, ours: Sequence[str], theirs: Sequence[str]) -> ClassMatch:
        """Match the names: as they are written, else without regard to case and Unicode's form.

        A name that several classes have once case is ignored is only matched as it is written.
        """
        exact = {name: index for index, name in enumerate(theirs)}
        folded = {_folded(name): index for index, name in enumerate(theirs)}
        counts = Counter(map(_folded, theirs)) | Counter(map(_folded, ours))
        rows = tuple(
            exact[name]
            if name in exact
            else folded.get(_folded(name))
            if counts[_folded(name)] == 1
            else None
            for name in ours
        )
        return cls(tuple(ours), tuple(theirs), rows)

    @property
    def is_same(self) -> bool:
        """Whether the classes are the same, in the same order."""
        return self.rows == tuple(range(len(self.theirs)))

    def describe(self) -> str:
        """Return which classes are kept, new and left over, as text for a person."""
        groups = {
            "kept": [
                name for name, row in zip(self.ours, self.rows, strict=True) if row is not None
            ],
            "new": [name for name, row in zip(self.ours, self.rows, strict=True) if row is None],
            "left over": [name for row, name in enumerate(self.theirs) if row not in self.rows],
        }
        told = [f"{word}: {', '.join(names)}" for word, names in groups.items() if names]
        return "classes " + "; ".join(told)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()
