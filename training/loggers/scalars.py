"""Scalars of a log record, by their names in trackers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a record by their names: ``train/loss``, ``val/iou/road`` …"""
    kind = record["kind"]
    found: dict[str, float] = {}
    for key, value in record.items():
        if key in ("kind", "step"):
            continue
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            found[f"{kind}/{key}"] = float(value)
        elif key == "lr" and value:
            found[f"{kind}/lr"] = float(max(value))
        elif isinstance(value, Mapping):
            found |= {f"{kind}/{key}/{name}": float(part) for name, part in value.items()}
        elif key == "per_class":
            named = {row["name"]: row["iou"] for row in value if row["iou"] is not None}
            found |= {f"{kind}/iou/{name}": float(iou) for name, iou in named.items()}
    return found
