"""Interpretation of masks: the meaning of their codes, and the classes."""

from __future__ import annotations

from dataclasses import dataclass

from maskzoo.models.labels import LabelSet
from maskzoo.training.data.records.encoding import MaskEncoding

BINARY_NAMES = ("background", "foreground")


@dataclass(frozen=True)
class Interpretation:
    """What the masks mean: an encoding, its classes, and the decisions behind them.

    Args:
        encoding: code → class id.
        labels: names and colours of the classes.
        storage: how the masks are kept, for people: `ids`, `0/255`, `grey levels`, `colours`,
            `per-file palettes` …
        notes: the decisions, as sentences for people.
    """

    encoding: MaskEncoding
    labels: LabelSet
    storage: str
    notes: tuple[str, ...]
