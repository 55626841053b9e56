"""The files of a data set: what was found in a folder, before any file was opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskzoo.training.data.records.rawmask import Annotations
from maskzoo.training.data.records.samples import Pair


@dataclass(frozen=True)
class FileIndex:
    """What was found in a folder.

    Args:
        root: the folder.
        layout: name of the layout, for people.
        pairs: images with masks.
        images_without_mask, masks_without_image: unpaired files.
        second_masks: masks that were left out since another one was taken for the same image.
        annotations: draws masks where they are stored as outlines and not as pixels.
        notes: what was decided, in words.
        base: the folder below `root` in which the layout was found, if it was not `root` itself.
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
