"""An inspection: the findings, the problems, and the counts that reports are made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.problems import DataProblem
from maskzoo.training.data.records.readings.account import total_tally
from maskzoo.training.data.records.samples import SPLITS


@dataclass(frozen=True)
class Inspection:
    """The result of inspecting a folder.

    Args:
        findings: everything that was found.
        problems: everything that is wrong, errors first.
        seconds: duration of the inspection.
    """

    findings: Findings
    problems: tuple[DataProblem, ...]
    seconds: float

    @property
    def errors(self) -> tuple[DataProblem, ...]:
        """The problems that stop a training."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def num_errors(self) -> int:
        """Number of problems that stop a training."""
        return len(self.errors)

    @cached_property
    def class_pixels(self) -> dict[str, Counter[int]]:
        """Pixels of each class id, `IGNORE` included, by split."""
        pixels: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
        for sample, facts in self.findings.rows:
            pixels[sample.split].update(self.findings.class_counts(facts))
        return pixels

    @cached_property
    def class_images(self) -> Counter[int]:
        """Number of masks that hold each class id, `IGNORE` included."""
        images: Counter[int] = Counter()
        for facts in self.findings.facts:
            images.update(self.findings.class_counts(facts).keys())
        return images

    @property
    def num_classes(self) -> int:
        """Number of classes, without `IGNORE`."""
        return self.findings.interpretation.labels.num_classes

    def codes(self, label: int) -> list[str]:
        """Return the codes of a class as people write them."""
        encoding = self.findings.encoding
        codes = [code for code, target in encoding.table if target == label]
        return [format_code(code, encoding.kind) for code in codes]

    def fraction(self, label: int, split: str | None = None) -> float:
        """Return the fraction of the pixels that belong to a class, over all splits or in one."""
        parts = [self.class_pixels[name] for name in SPLITS if split in (None, name)]
        total = sum(sum(part.values()) for part in parts)
        return sum(part[label] for part in parts) / total if total else 0.0

    def sizes(self) -> dict[str, Any]:
        """Return the smallest and the largest size, the median side and the number of sizes."""
        found = [fact.image.height_width for fact in self.findings.facts if fact.image is not None]
        if not found:
            return {"smallest": None, "largest": None, "median_side": None, "different": 0}
        ordered = sorted(set(found), key=lambda size: size[0] * size[1])
        return {
            "smallest": _size_text(ordered[0]),
            "largest": _size_text(ordered[-1]),
            "median_side": int(np.median([side for size in found for side in size])),
            "different": len(ordered),
        }

    def image_modes(self) -> dict[str, int]:
        """Return the number of images of each mode, such as ``RGB`` or ``uint16x4``."""
        modes = Counter(fact.image.mode for fact in self.findings.facts if fact.image is not None)
        return dict(modes.most_common())

    def account_json(self) -> dict[str, Any]:
        """Return what became of every file and of every annotation, as plain JSON values."""
        facts = self.findings.facts
        tallies = [fact.mask.tally for fact in facts if fact.mask is not None and fact.mask.tally]
        lost = self.findings.index.lost
        account = self.findings.account
        return {
            "files": None if account is None else account.to_json(),
            "annotations": total_tally(tallies, lost) if tallies or lost else None,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the inspection as plain JSON values."""
        findings = self.findings
        counts = Counter(sample.split for sample in findings.samples)
        return {
            "root": str(findings.root),
            "name": findings.name,
            "layout": findings.index.layout,
            "encoding": findings.interpretation.storage,
            "splits": {split: counts[split] for split in SPLITS},
            "classes": [self._class_row(label) for label in range(self.num_classes)],
            "ignore": {"values": self.codes(IGNORE), "fraction": round(self.fraction(IGNORE), 6)},
            "background": findings.interpretation.labels.background,
            "sizes": self.sizes(),
            "image_modes": self.image_modes(),
            "bands": None if findings.bands is None else findings.bands.to_json(),
            "account": self.account_json(),
            "notes": list(findings.notes),
            "problems": [problem.to_json() for problem in self.problems],
            "num_errors": self.num_errors,
            "seconds": round(self.seconds, 2),
        }

    def _class_row(self, label: int) -> dict[str, Any]:
        labels = self.findings.interpretation.labels
        return {
            "id": label,
            "name": labels.names[label],
            "values": self.codes(label),
            "colour": "#{:02X}{:02X}{:02X}".format(*labels.colours[label]),
            "fraction": round(self.fraction(label), 6),
            "fraction_by_split": {split: round(self.fraction(label, split), 6) for split in SPLITS},
            "images": self.class_images[label],
        }


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
