"""The files of a data set, as found by their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskzoo.training.data.records.rawmask import Annotations
from maskzoo.training.data.records.samples import Pair


@dataclass(frozen=True)
class FileIndex:
    """The files that a layout found in a folder.

    Args:
        root: the folder.
        layout: name of the layout, for people.
        pairs: images with masks.
        images_without_mask, masks_without_image: unpaired files.
        second_masks: masks that were left out because their image has another one.
        annotations: draws the masks where they are stored as outlines.
        notes: decisions, as sentences for people.
        base: the folder below `root` that has the layout; None where that is `root` itself.
    """

    root: Path
    layout: str
    pairs: tuple[Pair, ...]
    images_without_mask: tuple[Path, ...] = ()
    masks_without_image: tuple[Path, ...] = ()
    second_masks: tuple[Path, ...] = ()
    annotations: Annotations | None = None
    notes: tuple[str, ...] = ()
    base: Path | None = None
