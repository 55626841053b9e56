"""The files of a data set, as one reading of its folder found them by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from maskzoo.training.data.records.samples import Pair
from maskzoo.training.data.records.shape import Annotations

YamlValue = str | Sequence["YamlValue"] | Mapping[str, "YamlValue"]


@dataclass(frozen=True)
class Origin:
    """Where the masks of a reading come from.

    Args:
        name: what `--masks` takes: the folder, affix or file of the masks, below the root.
        keys: the keys of dataset.yaml that say exactly this reading: `images` and `masks`, or
            `format` and `annotations`, and `splits` where they need it.
    """

    name: str
    keys: Mapping[str, YamlValue] = field(default_factory=dict)

    def yaml(self) -> str:
        """Return the lines of a dataset.yaml."""
        return yaml.safe_dump(dict(self.keys), sort_keys=False, allow_unicode=True, width=96)


@dataclass(frozen=True)
class LeftOut:
    """Files that a reading does not use.

    Args:
        reason: why not, as in `colour rendering of the masks in labels`.
        files: the files.
        damage: what is wrong with those that cannot be read.
    """

    reason: str
    files: tuple[Path, ...]
    damage: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FileIndex:
    """One reading of a folder: images, their masks, and what became of the other files.

    Args:
        root: the folder.
        layout: name of the layout, for people.
        pairs: images with masks.
        origin: where the masks come from.
        images_without_mask, masks_without_image: unpaired files.
        left_out: other files that belong to this layout and are not used.
        helpers: files other than images and masks that were read: lists, class names.
        annotations: draws the masks where they are not one file for each image.
        notes: decisions, as sentences for people.
        base: the folder below `root` that has the layout; None where that is `root` itself.
        is_bare: no annotation has an outline (boxes alone), so that no mask can be drawn.
        rendering: what the masks are, where they are drawn from the masks of classes or beside
            them, such as `colour rendering`; else empty.
        is_listed: a list beside the data names the pairs, which settles what is meant.
        lost: numbers of annotations that belong to no pair, by kind; a kind reads well after its
            number.
    """

    root: Path
    layout: str
    pairs: tuple[Pair, ...]
    origin: Origin
    images_without_mask: tuple[Path, ...] = ()
    masks_without_image: tuple[Path, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    helpers: tuple[Path, ...] = ()
    annotations: Annotations | None = None
    notes: tuple[str, ...] = ()
    base: Path | None = None
    rendering: str = ""
    is_listed: bool = False
    is_bare: bool = False
    lost: Mapping[str, int] = field(default_factory=dict)
