"""Look at a data set before training: what it holds, what is wrong, what cures it.

`inspect` reads every image and every mask once. The result prints as a table, goes out as JSON,
writes a commented dataset.yaml and draws a picture; `Inspection.data` is the data set itself, so
a training that inspects first reads nothing twice.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from maskzoo.models.errors import DataError
from maskzoo.training.data.check.checks import find_problems
from maskzoo.training.data.check.findings import Findings, look
from maskzoo.training.data.check.picture import draw
from maskzoo.training.data.check.problems import Problem
from maskzoo.training.data.check.scan import Progress
from maskzoo.training.data.check.writing import description_text
from maskzoo.training.data.feed.dataset import SegmentationData, accept
from maskzoo.training.data.find.description import FILE_NAME
from maskzoo.training.data.find.index import SPLITS
from maskzoo.training.data.masks.encodings import IGNORE, format_code

_TABLE_WIDTH = 100


@dataclass(frozen=True)
class Inspection:
    """What an inspection found.

    Args:
        findings: files, codes, classes, splits.
        problems: what is wrong, errors first.
        seconds: how long it took.
    """

    findings: Findings
    problems: tuple[Problem, ...]
    seconds: float

    @property
    def num_errors(self) -> int:
        """Number of problems that stop a training."""
        return sum(problem.severity == "error" for problem in self.problems)

    @cached_property
    def class_pixels(self) -> dict[str, Counter[int]]:
        """Pixels of each class id, by split; `IGNORE` too."""
        pixels: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
        for sample, fact in zip(self.findings.samples, self.findings.facts, strict=True):
            pixels[sample.split].update(self.findings.class_counts(fact))
        return pixels

    @cached_property
    def class_images(self) -> Counter[int]:
        """Number of masks that hold each class id."""
        images: Counter[int] = Counter()
        for fact in self.findings.facts:
            images.update(self.findings.class_counts(fact).keys())
        return images

    def data(self, *, allow_bad: int = 0) -> SegmentationData:
        """Return the data set, as `open_dataset` does but without reading it again.

        Raises:
            DataError: there are errors.
        """
        return accept(self.findings, self.problems, allow_bad=allow_bad)

    def is_usable(self, *, allow_bad: int = 0) -> bool:
        """Tell whether `data` gives a data set."""
        try:
            self.data(allow_bad=allow_bad)
        except DataError:
            return False
        return True

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        findings = self.findings
        counts = Counter(sample.split for sample in findings.samples)
        return {
            "root": str(findings.root),
            "name": findings.name,
            "layout": findings.index.layout,
            "encoding": findings.detected.name,
            "splits": {split: counts[split] for split in SPLITS},
            "classes": [self._class_row(label) for label in range(self._num_classes)],
            "ignore": {"values": self._codes(IGNORE), "share": round(self._share(IGNORE), 6)},
            "background": findings.detected.labels.background,
            "sizes": self._sizes(),
            "notes": list(findings.notes),
            "problems": [problem.to_json() for problem in self.problems],
            "num_errors": self.num_errors,
            "seconds": round(self.seconds, 2),
        }

    def table(self, *, verdict: bool = True, errors: bool = True) -> str:
        """Return a report to be read in a terminal.

        Args:
            verdict: whether it ends with what to do next.
            errors: whether errors are in it, and not the warnings alone.
        """
        stream = io.StringIO()
        console = Console(file=stream, width=_TABLE_WIDTH, highlight=False, markup=False)
        findings = self.findings
        console.print(f"{findings.name}: {len(findings.samples)} images with masks")
        for note in findings.notes:
            console.print(f"  {note}", soft_wrap=True)
        sizes = self._sizes()
        console.print(
            f"  sizes (width x height): {sizes['smallest']} to {sizes['largest']}, "
            f"{sizes['different']} different"
        )
        console.print(self._class_table())
        for problem in self.problems:
            if problem.severity == "error" and not errors:
                continue
            console.print(problem.text(findings.root), soft_wrap=True)
        if verdict:
            console.print(self._verdict(), soft_wrap=True)
        return stream.getvalue()

    def write_yaml(self, path: Path | None = None, *, overwrite: bool = False) -> Path:
        """Write the commented dataset.yaml, next to the data if no path is given.

        Raises:
            DataError: there is one already, or the folder cannot be written to.
        """
        path = path or self.findings.root / FILE_NAME
        if path.exists() and not overwrite:
            raise DataError(f"{path} exists and may hold edits; move it away, or write elsewhere")
        text = description_text(self.findings, self.problems, path.parent)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DataError(
                f"{path} cannot be written ({error.strerror}); write it elsewhere and give that "
                "file in place of the folder"
            ) from error
        return path

    def picture(self, path: Path) -> Path:
        """Draw class shares, image sizes and twelve samples into a PNG."""
        return draw(self.findings, self.class_pixels, path)

    @property
    def _num_classes(self) -> int:
        return self.findings.detected.labels.num_classes

    def _verdict(self) -> str:
        root = self.findings.root
        if self.num_errors:
            return f"not usable yet: {self.num_errors} kind(s) of error, each with its cure above"
        return f"usable: maskzoo train {root}"

    def _codes(self, label: int) -> list[str]:
        encoding = self.findings.encoding
        codes = [code for code, target in encoding.table if target == label]
        return [format_code(code, encoding.kind) for code in codes]

    def _share(self, label: int, split: str | None = None) -> float:
        parts = [self.class_pixels[name] for name in SPLITS if split in (None, name)]
        total = sum(sum(part.values()) for part in parts)
        return sum(part[label] for part in parts) / total if total else 0.0

    def _class_row(self, label: int) -> dict[str, Any]:
        labels = self.findings.detected.labels
        return {
            "id": label,
            "name": labels.names[label],
            "values": self._codes(label),
            "colour": "#{:02X}{:02X}{:02X}".format(*labels.colours[label]),
            "share": round(self._share(label), 6),
            "share_by_split": {split: round(self._share(label, split), 6) for split in SPLITS},
            "images": self.class_images[label],
        }

    def _class_table(self) -> Table:
        table = Table("id", "class", "value", "images", "share", *SPLITS)
        names = self.findings.detected.labels.names
        for label in [*range(self._num_classes), IGNORE]:
            if label == IGNORE and not self.class_images[IGNORE]:
                continue
            codes = self._codes(label)
            shown = " ".join(codes[:4]) + (" …" if len(codes) > 4 else "")
            table.add_row(
                str(label),
                "(ignored)" if label == IGNORE else names[label],
                shown,
                str(self.class_images[label]),
                _percent(self._share(label)),
                *(_percent(self._share(label, split)) for split in SPLITS),
            )
        return table

    def _sizes(self) -> dict[str, Any]:
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


def inspect(
    root: Path,
    *,
    description: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Inspection:
    """Look at a folder of images and masks, or at a dataset.yaml.

    Args:
        root: the folder, or a dataset.yaml.
        description: a dataset.yaml that lies elsewhere.
        seed: of the split, where nothing else gives one.
        progress: called with (done, total) while files are read.

    Raises:
        DataError: no images with masks were found, or their codes cannot be classes.
        SpecError: the description is wrong.
    """
    start = time.perf_counter()
    findings = look(root, seed=seed, description=description, deep=True, progress=progress)
    return Inspection(findings, find_problems(findings), time.perf_counter() - start)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if share else "-"


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
