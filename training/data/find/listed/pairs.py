"""Data sets given by a list: a file that names an image and its mask on each line.

A list names a file by its path below the root, with slashes or backslashes, by its path on another
computer, or by its name alone where only one file below the root has that name. Which columns hold
the images, the masks and the splits follows from their names, and from what the cells are where
there are no names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maskzoo.models.errors import DataError, counted
from maskzoo.training.data.files.listing import Listing, suffix_of
from maskzoo.training.data.find.listed.tables import (
    TABLE_SUFFIXES,
    Table,
    disagreement,
    is_of_both,
    looks_like_image,
    not_a_split,
    read_table,
    split_of_name,
    split_of_word,
)
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.find.trees.splits import split_in_name
from maskzoo.training.data.find.trees.words import read_name, split_folders
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import Pair, Split

_MOST_LISTS = 64  # in a folder; more files of text are annotations, one for each image


@dataclass(frozen=True)
class _ListRow:
    """A line of a list; `split` is empty where the list has no such column."""

    image: str
    mask: str
    split: str


def find_lists(listing: Listing, root: Path) -> list[FileIndex]:
    """Find lists with an image and a mask on each line: in a folder, or in those of its splits.

    Raises:
        DataError: a column of splits holds a word that is not a split, or two lists disagree.
    """
    folders = split_folders(listing.folders(root)).values()
    below = [file for folder in folders for file in _list_files(listing, folder)]
    own = _reading(listing, root, _list_files(listing, root))
    return own or _reading(listing, root, below)


def _reading(listing: Listing, root: Path, list_files: Sequence[Path]) -> list[FileIndex]:
    """Return the reading of some lists; none where they hold something else."""
    pairs: dict[tuple[Path, Path], tuple[Pair, Path]] = {}
    used: list[Path] = []
    notes: list[str] = []
    for list_file in list_files:
        folder = list_file.parent
        rows = _rows(listing, folder, list_file)
        used += [list_file] if rows else []
        bare = sum(not row.mask for row in rows)
        notes += (
            [f"{list_file.name}: {counted(bare, 'line names', 'lines name')} no mask: left out"]
            if bare
            else []
        )
        for row in rows:
            if not row.mask:
                continue
            image, mask = listing.resolve(row.image, folder), listing.resolve(row.mask, folder)
            if image is None or mask is None:
                name = row.image if image is None else row.mask
                notes.append(f"{list_file.name} lists {name}, which does not exist: left out")
                continue
            split = _split(row, list_file) or split_in_name(list_file, root)
            before = pairs.get((image, mask))
            if before is None or before[0].split is None:
                # a list of all files may lie beside lists of splits
                stem = PurePosixPath(row.image.replace("\\", "/")).with_suffix("").as_posix()
                pairs[image, mask] = (Pair(stem, image, mask, split), list_file)
            elif split not in (None, before[0].split) and not is_of_both(list_file.stem):
                raise disagreement(row.image, before[0].split, before[1], split, list_file)
    if not pairs:
        return []
    names = ", ".join(file.relative_to(root).as_posix() for file in used)
    index = FileIndex(
        root,
        f"lists {names}",
        unique_stems([pair for pair, _ in pairs.values()]),
        Origin(names, {"format": "list", "annotations": [listing.relative(f) for f in used]}),
        helpers=tuple(used),
        notes=_shortened(notes),
        is_listed=True,
    )
    return [index]


def absent_in_lists(listing: Listing, root: Path) -> str:
    """Return a message about a list whose files do not exist; empty where there is no list."""
    for list_file in _list_files(listing, root):
        rows = _rows(listing, root, list_file)
        if rows:
            return (
                f"{list_file.name} lists {len(rows)} pairs, such as {rows[0].image!r} and "
                f"{rows[0].mask!r}, but {str(root)!r} holds no such files; write paths that are "
                "relative to the list"
            )
    return ""


def _list_files(listing: Listing, root: Path) -> list[Path]:
    """Return the files in a folder that may be lists; those of train and val together last."""
    files = listing.files(root, TABLE_SUFFIXES, deep=False)
    files.sort(key=lambda path: is_of_both(path.stem))
    return files if len(files) <= _MOST_LISTS else []


def _split(row: _ListRow, list_file: Path) -> Split | None:
    """Return the split that a row gives, else the one that the name of its file gives."""
    if not row.split:
        return split_of_name(list_file.stem)
    split = split_of_word(row.split)
    if split is None:
        raise not_a_split(list_file, row.image, row.split)
    return split


def _rows(listing: Listing, root: Path, list_file: Path) -> list[_ListRow]:
    """Return the lines of a list; none where the file holds something else."""
    try:
        table = read_table(list_file)
    except DataError:
        if split_of_name(list_file.stem) or suffix_of(list_file) == ".csv":
            raise  # a random split beside a list that cannot be read would be a silent choice
        return []
    if table.width == 1:
        return _rows_of_words(listing, root, table)
    columns = _columns(listing, root, table)
    if columns is None:
        return []
    image, mask = (table.column(number) for number in columns)
    number = table.split_column()
    split = [""] * len(image) if number is None else table.column(number)
    return [_ListRow(*cells) for cells in zip(image, mask, split, strict=True) if cells[0]]


def _columns(listing: Listing, root: Path, table: Table) -> tuple[int, int] | None:
    """Return the columns of images and of masks; None where the table has no such two."""
    found = {
        number: sum(_is_file(listing, root, cell) for cell in table.column(number))
        for number in range(table.width)
    }
    least = max(1, len(table.rows) // 10)  # a list may name images without masks
    files = [number for number, count in found.items() if count >= least]
    if len(files) < 2:
        return None
    masks = [number for number in files if table.role(number) == "mask"]
    images = [number for number in files if table.role(number) == "image"]
    others = [number for number in files if number not in (*masks, *images)]
    masks = masks or [number for number in others if _role_by_path(table.column(number)) == "mask"]
    masks = masks or (others[-1:] if len(files) == 2 else [])
    images = [number for number in (*images, *others) if number not in masks]
    if not images or not masks:
        return None
    return max(images, key=lambda number: found[number]), masks[0]


def _role_by_path(cells: Sequence[str]) -> str | None:
    """Return the role that most paths of a column have by the words in them."""
    roles = Counter(
        role
        for cell in cells
        if (role := _role_of_path(PurePosixPath(cell.replace("\\", "/")))) is not None
    )
    return roles.most_common(1)[0][0] if roles else None


def _role_of_path(path: PurePosixPath) -> str | None:
    return next((said.role for part in path.parts if (said := read_name(part)).role), None)


def _rows_of_words(listing: Listing, root: Path, table: Table) -> list[_ListRow]:
    """Return the pairs of lines whose two names are separated by spaces; names may hold spaces."""
    rows: list[_ListRow] = []
    for line in table.column(0):
        words = line.split()
        halves = [
            (" ".join(words[:place]).strip("\"'"), " ".join(words[place:]).strip("\"'"))
            for place in range(1, len(words))
        ]
        whole = [half for half in halves if all(map(looks_like_image, half))]
        known = [half for half in whole if all(listing.resolve(name, root) for name in half)]
        if not whole:
            return []
        rows.append(_ListRow(*(known or whole)[0], ""))
    return rows


def _is_file(listing: Listing, root: Path, cell: str) -> bool:
    return bool(cell) and (looks_like_image(cell) or listing.resolve(cell, root) is not None)


def _shortened(notes: list[str]) -> tuple[str, ...]:
    """Return the first notes of many alike."""
    more = len(notes) - _MOST_NOTES
    return (*notes[:_MOST_NOTES], *([f"and {more} more notes like these"] if more > 0 else []))


_MOST_NOTES = 10
