"""Images with their masks, and the splits that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
SPLIT_FOLDERS: dict[str, Split] = {
    **{"train": "train", "training": "train", "trn": "train", "train2017": "train"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val", "val2017": "val"},
    **{"test": "test", "testing": "test", "tst": "test", "test2017": "test"},
}
FRACTIONS: dict[Split, float] = {"train": 0.7, "val": 0.15, "test": 0.15}


@dataclass(frozen=True)
class Sample:
    """One image with the file that holds its mask.

    Args:
        stem: name that is unique in the data set, with the folders below the split.
        image, mask: the two files.
        split: where it is used.
    """

    stem: str
    image: Path
    mask: Path
    split: Split


@dataclass(frozen=True)
class Pair:
    """An image and its mask before a split is settled (`split` is None where none is given)."""

    stem: str
    image: Path
    mask: Path
    split: Split | None
