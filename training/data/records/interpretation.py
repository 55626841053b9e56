"""Interpretation of masks: the meaning of their codes, and the classes."""

from __future__ import annotations

from dataclasses import dataclass

from maskzoo.models.labels import LabelSet
from maskzoo.training.data.records.encoding import MaskEncoding


@dataclass(frozen=True)
class Interpretation:
    """An encoding with its classes, and what was decided in words.

    Args:
        encoding: code → class id.
        labels: names and colours.
        storage: `ids`, `0/255`, `grey levels`, `indexed`, `per-file palettes`, `colours` …
        notes: the decisions.
    """

    encoding: MaskEncoding
    labels: LabelSet
    storage: str
    notes: tuple[str, ...]
