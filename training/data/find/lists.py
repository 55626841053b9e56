"""Data sets given by a list: a CSV or text file of images and their masks.

A list names a file by its path below the root, with slashes or backslashes, by its whole path, or
by its name alone where only one file below the root has that name. Columns are separated by commas,
semicolons, tabs or bars.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing
from maskzoo.training.data.files.text import read_text
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, SPLITS, Pair, Split

_IMAGE_COLUMNS = ("image", "images", "img", "image_path", "filename", "file")
_MASK_COLUMNS = ("mask", "masks", "label", "mask_path", "label_path", "annotation")
_SPLIT_COLUMNS = ("split", "set", "subset")
_MOST_LISTS = 64  # in a folder; more files of text are annotations, one for each image
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class _ListRow:
    """A line of a list; `split` is empty where the list has no such column."""

    image: str
    mask: str
    split: str


def find_lists(listing: Listing, root: Path) -> list[FileIndex]:
    """Find CSV files with columns image and mask, or text files with two paths on each line.

    Raises:
        DataError: a column of splits holds a word that is not a split.
    """
    pairs: dict[tuple[Path, Path], Pair] = {}
    used: list[Path] = []
    notes: list[str] = []
    for list_file in _list_files(listing, root):
        rows = _rows(list_file)
        used += [list_file] if rows else []
        for row in rows:
            image, mask = listing.resolve(row.image, root), listing.resolve(row.mask, root)
            if image is None or mask is None:
                name = row.image if image is None else row.mask
                notes.append(f"{list_file.name} lists {name}, which does not exist: left out")
                continue
            split = _split(row, list_file)
            before = pairs.get((image, mask))
            if (
                before is None or before.split is None
            ):  # a list of all files may lie beside lists of splits
                stem = Path(row.image.replace("\\", "/")).with_suffix("").as_posix()
                pairs[image, mask] = Pair(stem, image, mask, split)
            elif split not in (None, before.split):
                notes.append(
                    f"{list_file.name} lists {row.image}, which another list puts into "
                    f"{before.split}: it stays there"
                )
    if not pairs:
        return []
    names = ", ".join(file.name for file in used)
    index = FileIndex(
        root,
        f"lists {names}",
        unique_stems(list(pairs.values())),
        Origin(names, {"format": "list", "annotations": [listing.relative(f) for f in used]}),
        helpers=tuple(used),
        notes=tuple(notes),
        is_listed=True,
    )
    return [index]


def absent_in_lists(listing: Listing, root: Path) -> str:
    """Return a message about a list whose files do not exist; empty where there is no list."""
    for list_file in _list_files(listing, root):
        rows = _rows(list_file)
        if rows:
            return (
                f"{list_file.name} lists {len(rows)} pairs, such as {rows[0].image!r} and "
                f"{rows[0].mask!r}, but {str(root)!r} holds no such files; write paths that are "
                "relative to the list"
            )
    return ""


def _list_files(listing: Listing, root: Path) -> list[Path]:
    files = listing.files(root, {".csv", ".txt"}, deep=False)
    return files if len(files) <= _MOST_LISTS else []


def _split(row: _ListRow, list_file: Path) -> Split | None:
    """Return the split that a row gives, else the one that the name of its file gives."""
    if not row.split:
        return SPLIT_FOLDERS.get(list_file.stem.lower())
    split = SPLIT_FOLDERS.get(row.split.lower())
    if split is None:
        raise DataError(
            f"{list_file.name} puts {row.image} into the split {row.split!r}; use "
            f"{', '.join(SPLITS)}, or leave the column out and maskzoo draws the splits"
        )
    return split


def _rows(list_file: Path) -> list[_ListRow]:
    """Return the lines of a list; none where the file holds something else."""
    try:
        text = read_text(list_file, western=True)
    except DataError:
        return []
    lines = [line for line in text.splitlines() if line.strip()]
    if list_file.suffix.lower() == ".csv" and (rows := _rows_of_table(lines)):
        return rows
    words = [line.replace(",", " ").replace(";", " ").split() for line in lines]
    ours = [row for row in words if len(row) == 2 and _is_image(row[0]) and _is_image(row[1])]
    return [_ListRow(image, mask, "") for image, mask in ours] if len(ours) == len(words) else []


def _rows_of_table(lines: list[str]) -> list[_ListRow]:
    """Return the rows of a table; none where it lacks a column for images or for masks."""
    if not lines:
        return []
    delimiter = max(_DELIMITERS, key=lines[0].count)
    table = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    columns = {name.lower().strip(): name for name in table.fieldnames or () if name}
    image, mask, split = (
        next((columns[name] for name in known if name in columns), None)
        for known in (_IMAGE_COLUMNS, _MASK_COLUMNS, _SPLIT_COLUMNS)
    )
    if image is None or mask is None:
        return []

    def cell(row: dict[str, str], column: str | None) -> str:
        return (row.get(column) or "").strip() if column else ""

    return [_ListRow(cell(row, image), cell(row, mask), cell(row, split)) for row in table]


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES
