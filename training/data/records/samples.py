"""Images with their masks, and the splits that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_FOLDER_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training", "trn", "train2017"),
    "val": ("val", "valid", "validation", "dev", "val2017"),
    "test": ("test", "testing", "tst", "test2017"),
}
SPLIT_FOLDERS: dict[str, Split] = {
    name: split for split, names in _FOLDER_NAMES.items() for name in names
}
FRACTIONS: dict[Split, float] = {"train": 0.7, "val": 0.15, "test": 0.15}


@dataclass(frozen=True)
class Sample:
    """One image and the file that holds its mask.

    Args:
        stem: name that is unique in the data set, with the folders below the split.
        image: file of the image.
        mask: file of the mask, or of the annotation that it is drawn from.
        split: the split that the sample belongs to.
    """

    stem: str
    image: Path
    mask: Path
    split: Split


@dataclass(frozen=True)
class Pair:
    """An image and its mask before splits are settled.

    Args:
        stem, image, mask: as in `Sample`.
        split: None where neither a folder nor a list gives one.
    """

    stem: str
    image: Path
    mask: Path
    split: Split | None
