"""Words in the names of folders: those that stand for a split."""

from __future__ import annotations

from pathlib import Path

from maskzoo.training.data.files.listing import Listing, composed
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, Split


def split_folders(listing: Listing, folder: Path) -> dict[Split, Path]:
    """Return the sub-folders whose name stands for a split."""
    children = {composed(child.name).lower(): child for child in listing.folders(folder)}
    return {split: children[name] for name, split in SPLIT_FOLDERS.items() if name in children}
