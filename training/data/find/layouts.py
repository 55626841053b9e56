"""The table of folder layouts, tried from top to bottom.

A finder searches one folder and returns what it found there, or None. The folder itself is tried
first, then the folders below it, two levels deep (`VOCdevkit/VOC2012`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.find.coco import find_coco
from maskzoo.training.data.find.files import IMAGE_SUFFIXES, split_folders, subfolders
from maskzoo.training.data.find.folders import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    find_folders,
    read_folders,
)
from maskzoo.training.data.find.lists import absent_in_lists, find_lists
from maskzoo.training.data.find.pairing import FolderPair
from maskzoo.training.data.find.voc import find_voc
from maskzoo.training.data.records.index import FileIndex
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, SPLITS

_MOST_FILES = 20_000  # counted to describe a folder
_MOST_FOLDERS = 32  # searched in a folder
_NOT_DATA = re.compile(r"\.|readme|licen[cs]e", re.IGNORECASE)  # beginnings of file names


def find_pairs(root: Path, images: str | None = None, masks: str | None = None) -> FileIndex:
    """Find the image and mask files below `root`.

    Args:
        root: the folder.
        images, masks: folders below it, where a person names them; both may hold train, val, test.

    Raises:
        DataError: no layout fits; the message says what was expected and what is there.
    """
    if not root.is_dir():
        raise DataError(
            f"{str(root)!r} is not a folder; give the folder that holds images and masks"
        )
    if images is not None and masks is not None:
        return _pair_named(root, images, masks)
    for base in _places(root):
        for finder in FINDERS:
            index = finder(base)
            if index is not None and index.pairs:
                if base == root:
                    return replace(index, root=root)
                note = f"found in {base.relative_to(root)}"
                return replace(index, root=root, base=base, notes=(note, *index.notes))
    raise DataError(_nothing_found(root))


def _pair_named(root: Path, images: str, masks: str) -> FileIndex:
    ours, theirs = root / images, root / masks
    for folder in (ours, theirs):
        if not folder.is_dir():
            raise DataError(
                f"folder {str(folder)!r} of the description does not exist; paths in dataset.yaml "
                "are relative to its root"
            )
    first, second = split_folders(ours), split_folders(theirs)
    both = [split for split in SPLITS if split in first and split in second]
    folders: list[FolderPair] = [(first[split], second[split], split) for split in both]
    folders = folders or [(ours, theirs, None)]
    index = read_folders(root, "folders as described", folders)
    if index is None:
        raise DataError(
            f"no image in {str(ours)!r} has a mask in {str(theirs)!r}; give both the same stem"
        )
    return index


def _places(root: Path) -> Iterator[Path]:
    """Yield the folders to search, nearest first."""
    root = _unwrapped(root)
    yield root
    children = subfolders(root)
    yield from children
    for child in children[:_MOST_FOLDERS]:
        yield from subfolders(child)[:_MOST_FOLDERS]


def _unwrapped(root: Path) -> Path:
    """Return the single folder that an archive leaves in `root`, if there is nothing else."""
    children = subfolders(root)
    names = {*IMAGE_FOLDERS, *MASK_FOLDERS, *SPLIT_FOLDERS}
    if len(children) != 1 or children[0].name.lower() in names:
        return root
    others = [path for path in root.iterdir() if path.is_file() and not _NOT_DATA.match(path.name)]
    return root if others else _unwrapped(children[0])


FINDERS: tuple[Callable[[Path], FileIndex | None], ...] = (
    find_voc,
    find_lists,
    find_folders,
    find_coco,
)


def _nothing_found(root: Path) -> str:
    """Return the message for a folder that no finder knows."""
    if absent := absent_in_lists(root):
        return f"no images with masks found in {str(root)!r}: {absent}"
    return (
        f"no images with masks found in {str(root)!r}, which {_content(root)}; expected "
        "images/{train,val,test} + masks/{train,val,test}, or images + masks, with equal stems, "
        "or VOC, Cityscapes, ADE20K, CamVid, COCO json, YOLO or labelme polygons, or a CSV with "
        "the columns image and mask; or name the two folders in a dataset.yaml (keys images, masks)"
    )


def _content(root: Path) -> str:
    """Return what a folder holds, by the suffixes of its files, as a part of a sentence."""
    counts = Counter(
        path.suffix.lower() for path in islice(root.rglob("*"), _MOST_FILES) if path.is_file()
    )
    if not counts:
        return "holds no files"
    files = ", ".join(
        f"{count} {suffix} file(s)" if suffix else f"{count} file(s) without a suffix"
        for suffix, count in counts.most_common(4)
    )
    folders = ", ".join(f"{child.name}/" for child in subfolders(root)[:12]) or "none"
    lack = ""
    if set(counts) & IMAGE_SUFFIXES:
        lack = "; a network cannot learn from images alone: each needs a mask"
    elif not set(counts) & {".json", ".csv"}:
        lack = "; none of them is an image"
    return f"holds {files} (folders: {folders}){lack}"
