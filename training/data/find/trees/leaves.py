"""Leaves: the folders that hold files, with what the names on their way say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.trees.records import Leaf, Role
from maskzoo.training.data.find.trees.words import NameWords, read_name, rendering_of
from maskzoo.training.data.records.samples import SPLIT_FOLDERS

_MOST_PARTS = 10  # of a key; longer ones have partners with an equal key alone


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
    found = _with_masks_of_images(found) if role is None else found
    return sorted(found, key=lambda leaf: leaf.parts)


def _with_masks_of_images(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Return the folders, where `masks/images` beside `images` holds masks.

    The deepest word says what a folder holds, unless another one of the same split and key holds
    images by all of its words.
    """
    plain = {
        (leaf.key, leaf.split) for leaf in leaves if leaf.role == "image" and not _says_mask(leaf)
    }
    return [
        replace(leaf, role="mask")
        if leaf.role == "image" and _says_mask(leaf) and (leaf.key, leaf.split) in plain
        else leaf
        for leaf in leaves
    ]


def _says_mask(leaf: Leaf) -> bool:
    return any(read_name(part).role == "mask" for part in leaf.parts)


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


class LeavesByKey:
    """An index of folders, so that one finds its partners without a look at all the others.

    Args:
        leaves: the folders; they are returned in this order.
    """

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self._rank = {leaf.folder: rank for rank, leaf in enumerate(leaves)}
        self._equal: dict[tuple[str, ...], list[Leaf]] = defaultdict(list)
        self._with_part: dict[str, list[Leaf]] = defaultdict(list)
        self._leaves = list(leaves)
        for leaf in leaves:
            self._equal[leaf.key].append(leaf)
            for part in frozenset(leaf.key):
                self._with_part[part].append(leaf)

    def equal(self, key: tuple[str, ...]) -> list[Leaf]:
        """Return the folders with that key."""
        return self._equal.get(key, [])

    def fitting(self, key: tuple[str, ...]) -> list[Leaf]:
        """Return the folders where the shorter key's parts stand in the longer one, in order."""
        found: dict[int, Leaf] = {}
        if len(key) <= _MOST_PARTS:
            shorter = {part for n in range(len(key) + 1) for part in combinations(key, n)}
            for other in shorter:
                found.update((self._rank[leaf.folder], leaf) for leaf in self.equal(other))
        rarest = min((self._with_part.get(part, []) for part in key), key=len, default=self._leaves)
        found.update((self._rank[leaf.folder], leaf) for leaf in rarest if _is_in(key, leaf.key))
        return [found[rank] for rank in sorted(found)]


def _is_in(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    rest = iter(long)
    return all(part in rest for part in short)
