"""The split that a word of a path stands for."""

from __future__ import annotations

from pathlib import Path

from maskzoo.training.data.find.trees.words import words_of
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, Split


def split_in_name(file: Path, root: Path) -> Split | None:
    """Return the split that a word of the path below `root` stands for, or None."""
    if not file.is_relative_to(root):
        return None
    parts = file.relative_to(root).with_suffix("").parts
    words = (word for part in parts for word in words_of(part))
    return next((SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS), None)
