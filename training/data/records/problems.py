"""Problems in the data: what, where, and how to fix it.

An `error` stops a training, a `warning` is shown. The stems of a problem are the samples that
would have to be left out to be rid of it: `allow_bad` and the `exclude` key of dataset.yaml use
them. The checks themselves are in `checks` and `leakage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from maskzoo.training.data.records.description import FILE_NAME

_SHOWN = 8


@dataclass(frozen=True)
class ProblemItem:
    """One place where a problem shows: a file and what is seen there."""

    file: Path | None
    detail: str


@dataclass(frozen=True)
class DataProblem:
    """One kind of trouble.

    Args:
        kind: short name, for programs.
        severity: whether it stops a training.
        title: what is wrong, with counts.
        cure: the edit or the command that fixes it.
        items: where it shows.
        stems: samples to leave out to be rid of it.
    """

    kind: str
    severity: Literal["error", "warning"]
    title: str
    cure: str
    items: tuple[ProblemItem, ...] = ()
    stems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
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
        """Return the problem as lines of text, with paths below `root` made short."""
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
    """Return the line of dataset.yaml that leaves samples out."""
    shown = ", ".join(f'"{stem}"' for stem in stems[:3]) + (", …" if len(stems) > 3 else "")
    return f"`exclude: [{shown}]` in {FILE_NAME}, or --allow-bad {len(stems)}"
