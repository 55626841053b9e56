"""Leaves: the folders that hold files, with what the names on their way say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.trees.records import Leaf, Role
from maskzoo.training.data.find.trees.words import NameWords, read_name, rendering_of
from maskzoo.training.data.records.samples import SPLIT_FOLDERS


def find_leaves(listing: Listing, base: Path, role: Role | None = None) -> list[Leaf]:
    """Return the folders below `base` that hold files, `base` included, sorted.

    Args:
        listing: the files.
        base: the folder.
        role: what all of them hold, where a person says so.
    """
    found: list[Leaf] = []
    queue = [base]
    while queue:
        folder = queue.pop()
        queue += listing.folders(folder)
        files = listing.files(folder, None, deep=False)
        if files:
            found.append(_leaf(folder, folder.relative_to(base).parts, files, role))
    return sorted(found, key=lambda leaf: leaf.parts)


def _leaf(folder: Path, parts: Sequence[str], files: Sequence[Path], role: Role | None) -> Leaf:
    names = tuple(composed(part) for part in parts)
    said = [read_name(name) for name in names]
    rows = list(zip(names, said, strict=True))
    return Leaf(
        folder,
        names,
        tuple(files),
        role or next((words.role for words in reversed(said) if words.role), None),
        next((words.split for words in reversed(said) if words.split), None),
        rendering_of(reversed(names)),
        tuple(name for name, words in rows if not _is_said(words)),
        frozenset(word for words in said if _is_said(words) for word in words.rest),
        tuple(_without_split(name) if words.split else name for name, words in rows),
    )


def _is_said(words: NameWords) -> bool:
    return words.role is not None or words.split is not None or bool(words.rendering)


def _without_split(part: str) -> str:
    """Return a part without the word of its split: `train_masks` is masks."""
    for word in sorted(SPLIT_FOLDERS, key=len, reverse=True):
        match = re.search(rf"(?:^|(?<=[\W_])){word}(?![a-z])|^{word}", part, re.IGNORECASE)
        if match:
            return (part[: match.start()] + part[match.end() :]).strip(" _.-")
    return part
