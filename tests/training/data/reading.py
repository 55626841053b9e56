"""The files of a folder as inspect takes them: all readings, then the choice."""

from __future__ import annotations

from pathlib import Path

from maskzoo.training.data.choice import choose
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.folders import find_folders
from maskzoo.training.data.find.layouts import find_readings
from maskzoo.training.data.records.readings.index import FileIndex


def find_pairs(root: Path) -> FileIndex:
    return choose(find_readings(Listing.of(root), find_folders))
