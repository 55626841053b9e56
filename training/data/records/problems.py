"""Problems of a data set: what is wrong, where, and what cures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from maskzoo.training.data.records.description import FILE_NAME

_SHOWN = 8  # items in a text


@dataclass(frozen=True)
class ProblemItem:
    """One place where a problem occurs.

    Args:
        file: the file; None where the problem is not of a single file.
        detail: what is wrong there.
    """

    file: Path | None
    detail: str


@dataclass(frozen=True)
class DataProblem:
    """One kind of problem, with all its places.

    Args:
        kind: short name, for programs.
        severity: an error stops a training; a warning is shown.
        title: what is wrong, with counts.
        cure: the edit or the command that fixes it.
        items: the places where it occurs.
        stems: samples that must be left out to be rid of it, by `allow_bad` or by the key `exclude`
            of dataset.yaml.
    """

    kind: str
    severity: Literal["error", "warning"]
    title: str
    cure: str
    items: tuple[ProblemItem, ...] = ()
    stems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the problem as plain JSON values."""
        items = [{"file": str(item.file or ""), "detail": item.detail} for item in self.items]
        return {
            "kind": self.kind,
            "severity": self.severity,
            "title": self.title,
            "cure": self.cure,
            "num_items": len(items),
            "items": items,
            "stems": list(self.stems),
        }

    def text(self, root: Path) -> str:
        """Return the problem as lines of text, with paths relative to `root`."""
        lines = [f"{self.severity}: {self.title}"]
        lines += [f"    {_short(item, root)}" for item in self.items[:_SHOWN]]
        if len(self.items) > _SHOWN:
            lines.append(f"    … and {len(self.items) - _SHOWN} more")
        return "\n".join([*lines, f"  → {self.cure}"])


def _short(item: ProblemItem, root: Path) -> str:
    if item.file is None:
        return item.detail
    name = item.file.relative_to(root) if item.file.is_relative_to(root) else item.file
    return f"{name}: {item.detail}" if item.detail else str(name)


def exclude_cure(stems: Sequence[str]) -> str:
    """Return the two ways to leave samples out: a line of dataset.yaml, or an option."""
    shown = ", ".join(f'"{stem}"' for stem in stems[:3]) + (", …" if len(stems) > 3 else "")
    return f"`exclude: [{shown}]` in {FILE_NAME}, or --allow-bad {len(stems)}"
