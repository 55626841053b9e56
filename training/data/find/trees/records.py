"""Records of a tree of folders: its leaves, what matches, and the ways in which images have masks.

The way to a leaf falls into parts that say what it holds (`images`, `masks`), parts that name a
split, and the others, which are its key: images and masks that belong together have the same key.
`Train/Rural/images_png` and `Train/Rural/masks_png` share the split train and the key `Rural`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maskzoo.training.data.records.samples import Split

Role = Literal["image", "mask"]


@dataclass(frozen=True)
class Leaf:
    """A folder that holds files.

    Args:
        folder: the folder.
        parts: the names of the folders on the way to it from the base, composed.
        files: its files, sorted.
        role: what it holds, by its deepest part that says so; None where none does.
        split: the split that its deepest part with one names.
        rendering: what it holds instead of masks, such as `colour rendering`; else empty.
        key: the parts that name neither a role nor a split.
        extras: the words beside roles and splits in the other parts: `left`, `1st`, `a`.
        bare_parts: its parts without the words of splits: `train_masks` is masks.
        split_part: the part that stands for the split, where its name is unusual; else empty.
        extra: what stands beside the role in the part at `extra_place`, where the partner has the
            same: `Rural` in `Rural_images`; else empty. It is in the key.
    """

    folder: Path
    parts: tuple[str, ...]
    files: tuple[Path, ...] = field(repr=False)
    role: Role | None
    split: Split | None
    rendering: str
    key: tuple[str, ...]
    extras: frozenset[str]
    bare_parts: tuple[str, ...]
    split_part: str = ""
    extra: str = ""
    extra_place: int = 0

    def name(self, key: frozenset[str]) -> str:
        """Return what tells its files from others with the same key, as `labels/sem_seg/masks`."""
        pairs = zip(self.parts, self.bare_parts, strict=True)
        return "/".join(bare for part, bare in pairs if bare and part not in key)


@dataclass(frozen=True)
class Match:
    """An image with its masks.

    Args:
        key: what the names of the image and of the masks share.
        image: file of the image.
        masks: files of its masks, sorted; several where a folder holds variants, classes, objects.
    """

    key: str
    image: Path
    masks: tuple[Path, ...]


@dataclass(frozen=True)
class Edge:
    """A folder of images, a folder of masks (perhaps the same), and what matches.

    Args:
        images, masks: the folders.
        matches: the pairs of their files.
    """

    images: Leaf
    masks: Leaf
    matches: tuple[Match, ...]

    @property
    def split(self) -> Split | None:
        """The split that one of the folders names."""
        return self.images.split or self.masks.split

    @property
    def shared(self) -> frozenset[str]:
        """The parts of the key that both folders have."""
        return frozenset(self.images.key) & frozenset(self.masks.key)


@dataclass(frozen=True)
class Row:
    """An image with masks, and the edge that they come from.

    Args:
        edge: folders of images and masks.
        key: what the names of image and masks share.
        image: file of the image.
        masks: files of its masks.
    """

    edge: Edge
    key: str
    image: Path
    masks: tuple[Path, ...]

    @property
    def split(self) -> Split | None:
        """The split that the folders name."""
        return self.edge.split


@dataclass(frozen=True)
class Variant:
    """One way in which images have masks: their folders, and the mark in the names of the masks.

    Args:
        images: what tells the folders of images from others.
        masks: what tells the folders of masks from others, as `labels/sem_seg/masks`.
        mark: what stands around the stem in their names, as `*_1stHO`; empty where it is of no
            importance.
        rows: images with their masks.
        rendering: what the masks are instead, such as `colour rendering`; else empty.
        are_objects: each file holds one object.
        folders: the words that stand for splits, where the usual ones do not.
        division: what folders of unusual names are taken as, where a person must choose.
        notes: decisions, as sentences for people.
    """

    images: str
    masks: str
    mark: str
    rows: tuple[Row, ...]
    rendering: str = ""
    are_objects: bool = False
    folders: Mapping[Split, tuple[str, ...]] = field(default_factory=dict)
    division: str = ""
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name for people and for `--masks`."""
        name = "/".join(part for part in (self.masks, self.mark) if part) or "masks"
        return f"{name} ({self.division})" if self.division else name

    @property
    def image_files(self) -> frozenset[Path]:
        """Its images."""
        return frozenset(row.image for row in self.rows)
