"""Files and folders by their names: what lies below a folder, and which folders are splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from maskzoo.training.data.records.samples import SPLIT_FOLDERS, Split

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
_HIDDEN = (".", "__MACOSX")  # beginnings of names


def list_files(folder: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Return the files below `folder`, sorted; hidden files and folders are skipped."""
    wanted = frozenset(suffixes)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in wanted
        and not any(part.startswith(_HIDDEN) for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, sorted; hidden ones are skipped."""
    return sorted(
        child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(_HIDDEN)
    )


def named_folders(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the sub-folders whose lower-case name is in `names`, in the order of `names`."""
    children = {child.name.lower(): child for child in subfolders(folder)}
    return [children[name] for name in names if name in children]


def split_folders(folder: Path) -> dict[Split, Path]:
    """Return the sub-folders whose name stands for a split."""
    children = {child.name.lower(): child for child in subfolders(folder)}
    return {split: children[name] for name, split in SPLIT_FOLDERS.items() if name in children}
