"""metrics.csv: one line for each validation, for a spreadsheet.

Columns: step, train_loss (mean since the last validation), lr, the means of `training.scoring`
by their names there (mean_iou, mean_iou_all …), pixel_accuracy, and iou_NAME for each class. A cell
is empty if a class has no score.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MEANS = (
    *("mean_iou", "mean_dice", "mean_recall"),
    *("mean_iou_all", "mean_dice_all", "pixel_accuracy"),
)


class CsvTable:
    """Rewrites the table at `path`, then adds a line after each validation."""

    starts_anew = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._losses: list[float] = []
        self._lr: float | None = None
        self._has_head = False
        path.unlink(missing_ok=True)

    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record."""
        if record["kind"] == "train":
            if record.get("loss") is not None:
                self._losses.append(record["loss"])
            self._lr = max(record["lr"], default=None) if record.get("lr") else self._lr
            return
        row = {
            "step": record["step"],
            "train_loss": sum(self._losses) / len(self._losses) if self._losses else None,
            "lr": self._lr,
            **{name: record[name] for name in _MEANS},
            **{f"iou_{one['name']}": one["iou"] for one in record["per_class"]},
        }
        with self._path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if not self._has_head:
                writer.writeheader()
            writer.writerow(row)
        self._has_head = True
        self._losses = []

    def close(self) -> None:
        """Every line is written already."""
