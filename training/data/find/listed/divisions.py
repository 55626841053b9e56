"""Lists that say which image is in which split, beside data that another finder found.

Such a list names images, one a line (`train.txt`, `splits/val_ids.csv`, `ImageSets/*/test.txt`), or
has a column of splits (`metadata.csv` with `id, split`), or is a json file of names by split. It is
a person's word: it stands over a drawn split and over the names of folders. A list that names
nothing that is there is an error, never passed over for a random split.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from maskzoo.models.errors import DataError, counted
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing, suffix_of
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.listed.tables import (
    TABLE_SUFFIXES,
    Table,
    disagreement,
    is_of_both,
    not_a_split,
    read_split_json,
    read_table,
    split_of_name,
    split_of_word,
    words_in,
)
from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.readings.index import FileIndex, LeftOut
from maskzoo.training.data.records.samples import SPLITS, Pair, Split

_SHEETS = frozenset({".xlsx", ".xls", ".ods"})
_FOLDERS = frozenset({"split", "splits", "list", "lists", "filelists", "file_lists", "imagesets"})
_MOST_FILES = 256  # of text in a folder; more are annotations, one for each image
_LEAST_KNOWN = 0.5  # of the names in a table without a split in its own name


@dataclass(frozen=True)
class _Division:
    """What one list says.

    Args:
        names: the images that it names, with their splits.
        unmasked: names of images without a mask.
        unknown: names that nothing has.
    """

    file: Path
    names: tuple[tuple[Pair, Split], ...]
    unmasked: tuple[str, ...]
    unknown: tuple[str, ...]


def with_split_lists(listing: Listing, index: FileIndex) -> FileIndex:
    """Return a reading with the splits that lists beside the data give.

    Samples in no list keep the split of their folder; without one they are train if no list says
    what train is, and else left out.

    Raises:
        DataError: a list names no sample, two lists disagree, or a list cannot be read.
    """
    if index.is_listed and all(pair.split for pair in index.pairs):
        return index
    names = _Names(listing, index)
    divisions = [
        division
        for file in _candidates(listing, index)
        if (division := _division(names, file)) is not None
    ]
    if not divisions:
        return index
    splits = _merged(divisions)
    if not splits:
        return replace(index, notes=(*index.notes, *_notes("", divisions, [], [])))
    lists = ", ".join(listing.relative(division.file) for division in divisions)
    left_out: list[Pair] = []
    pairs = []
    unlisted: Split | None = None if "train" in splits.values() else "train"
    for pair in index.pairs:
        split = splits.get(pair) or pair.split or unlisted
        if split is None:
            left_out.append(pair)
        else:
            pairs.append(replace(pair, split=split))
    if left_out and set(splits.values()) == {"train"}:
        raise DataError(
            f"{lists} names the {len(pairs)} images of train, and nothing says which of the other "
            f"{len(left_out)} are val or test: add val.txt or test.txt, or give all splits in "
            f"{FILE_NAME}, `splits: {{file: splits.csv}}`, a CSV with the columns stem and split"
        )
    moved = [pair for pair in index.pairs if pair.split not in (None, splits.get(pair, pair.split))]
    reason = f"in none of the lists {lists}"
    files = tuple(file for pair in left_out for file in (pair.image, pair.mask))
    return replace(
        index,
        pairs=tuple(pairs),
        helpers=(*index.helpers, *(division.file for division in divisions)),
        left_out=(*index.left_out, *([LeftOut(reason, files)] if files else [])),
        notes=(*index.notes, *_notes(lists, divisions, moved, left_out)),
    )


def _notes(
    lists: str, divisions: Sequence[_Division], moved: Sequence[Pair], out: Sequence[Pair]
) -> list[str]:
    notes = [f"splits: from {lists}"] if lists else []
    if moved:
        notes.append(
            f"{counted(len(moved), 'image is', 'images are')} "
            f"in another split than the folder says: {lists}"
        )
    if out:
        notes.append(
            f"{counted(len(out), 'image is', 'images are')} in none of these lists: left out"
        )
    for division in divisions:
        if division.unmasked:
            shown = ", ".join(map(repr, division.unmasked[:3]))
            notes.append(
                f"{division.file.name} names {counted(len(division.unmasked), 'image')} "
                "without a mask, "
                f"such as {shown}: left out"
            )
        if division.unknown:
            shown = ", ".join(map(repr, division.unknown[:3]))
            notes.append(
                f"{division.file.name} names "
                f"{counted(len(division.unknown), 'image that is', 'images that are')} not there, "
                f"such as {shown}"
            )
    return notes


class _Names:
    """The samples of a reading by the names that lists give them."""

    def __init__(self, listing: Listing, index: FileIndex) -> None:
        self._listing = listing
        self._of_file: dict[Path, Pair] = {}
        self._of_folder: dict[str, list[Pair]] = defaultdict(list)
        by_name: dict[str, set[Pair]] = defaultdict(set)
        for pair in index.pairs:
            by_name[composed(pair.stem)].add(pair)
            self._of_folder[composed(pair.image.parent.name)].append(pair)
            for file in (pair.image, pair.mask):
                self._of_file[file] = pair
                for name in (file.name, file.stem):
                    by_name[composed(name)].add(pair)
        masks = Counter(pair.mask for pair in index.pairs)
        for shared in (mask for mask, count in masks.items() if count > 1):
            self._of_file.pop(shared, None)  # one file of annotations names no single image
        files = listing.files(suffixes=IMAGE_SUFFIXES)
        self._images = {composed(name) for file in files for name in (file.name, file.stem)}
        self._by_name = {name: found.pop() for name, found in by_name.items() if len(found) == 1}

    def find(self, text: str) -> Pair | None:
        """Return the sample that a cell or a line names; a line may hold more behind the name."""
        line = composed(text.strip().replace("\\", "/"))
        while line:
            if pair := self._named(line):
                return pair
            line = line.rpartition(" ")[0].strip()
        return None

    def in_folder(self, text: str) -> Sequence[Pair]:
        """Return the samples of the folders of a name: a list may name films, or scenes."""
        return self._of_folder.get(composed(text.strip().strip("/")), ())

    def is_image(self, text: str) -> bool:
        """Tell whether a name is that of an image file, with a mask or without."""
        name = PurePosixPath(composed(text.strip().replace("\\", "/"))).name
        return name in self._images or name.rpartition(" ")[0].strip() in self._images

    def _named(self, text: str) -> Pair | None:
        path = PurePosixPath(text)
        stem = path.with_suffix("").as_posix() if path.name else text
        known = [self._by_name.get(name) for name in (text, stem.lstrip("./"))]
        files = self._listing.candidates(text, by_name=True) if path.suffix else []
        known += [pair for file in files if (pair := self._of_file.get(file))]
        found = {pair for pair in known if pair is not None}
        if not found:
            found = {pair for name in (path.name, path.stem) if (pair := self._by_name.get(name))}
        return found.pop() if len(found) == 1 else None


def _candidates(listing: Listing, index: FileIndex) -> list[Path]:
    """Return the files that may be lists of splits; those of train and val together last."""
    taken = {*index.helpers, *(pair.mask for pair in index.pairs)}
    found: list[Path] = []
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in listing.files(suffixes={*TABLE_SUFFIXES, *_SHEETS, ".json"}):
        # other json files are annotations, which may be large
        if suffix_of(path) != ".json" or {"split", "splits"} & set(words_in(path.stem)):
            folders[path.parent].append(path)
    tops = {listing.root, index.root, index.base or index.root}
    for folder, files in folders.items():
        if len(files) > _MOST_FILES:
            continue
        is_place = folder in tops or folder.name.lower() in _FOLDERS
        found += [
            path
            for path in files
            if path not in taken and (is_place or split_of_name(path.stem) is not None)
        ]
    return sorted(found, key=lambda path: (is_of_both(path.stem), path))


def _division(names: _Names, file: Path) -> _Division | None:
    """Return what a list says; None where it is none of splits.

    Raises:
        DataError: its name says that it is one, and it names nothing or cannot be read.
    """
    split = split_of_name(file.stem)
    suffix = suffix_of(file)
    if suffix in _SHEETS:
        if split is None:
            return None
        raise DataError(f"{file.name} is a spreadsheet, which is not read here: save it as CSV")
    try:
        if suffix == ".json":
            rows = [(name, key) for key, texts in read_split_json(file).items() for name in texts]
            return _of_rows(names, file, rows, is_sure=bool(rows))
        table = read_table(file)
    except DataError:
        if split is None and not {"split", "splits"} & set(words_in(file.stem)):
            return None
        raise
    number = table.split_column()
    if number is None:
        if split is None or not table.rows:
            return None
        texts = _best_column(names, table, None)
        return _of_rows(names, file, [(text, split) for text in texts], is_sure=True)
    texts = _best_column(names, table, number)
    known = sum(names.find(text) is not None for text in texts)
    if known < max(1, _LEAST_KNOWN * len(texts)) and split is None:
        return None
    return _of_rows(names, file, _with_splits(file, texts, table.column(number)), is_sure=True)


def _best_column(names: _Names, table: Table, without: int | None) -> list[str]:
    """Return the cells of the column that names most samples."""
    columns = [table.column(number) for number in range(table.width) if number != without]
    return max(
        columns,
        key=lambda cells: sum(names.find(cell) is not None for cell in cells),
        default=[""] * len(table.rows),
    )


def _with_splits(
    file: Path, texts: Sequence[str], words: Sequence[str]
) -> Iterable[tuple[str, Split]]:
    for text, word in zip(texts, words, strict=True):
        split = split_of_word(word)
        if word and split is None:
            raise not_a_split(file, text, word)
        if split is not None:
            yield text, split


def _of_rows(
    names: _Names, file: Path, rows: Iterable[tuple[str, Split]], *, is_sure: bool
) -> _Division | None:
    found: dict[Pair, Split] = {}
    unmasked: list[str] = []
    unknown: list[str] = []
    for text, split in rows:
        pair = names.find(text)
        meant = names.in_folder(text) if pair is None else [pair]
        if not meant:
            (unmasked if names.is_image(text) else unknown).append(text)
        for one in meant:
            if found.setdefault(one, split) != split:
                raise disagreement(text, found[one], file, split, file)
    if found or (is_sure and unmasked):
        return _Division(file, tuple(found.items()), tuple(unmasked), tuple(unknown))
    if not is_sure or not unknown:
        return None
    raise DataError(
        f"{file.name} looks like a list of splits, and none of its {len(unknown)} names, such as "
        f"{unknown[0]!r}, is an image here: write the names of the images into it, with or without "
        f"suffix and folder. If it is something else, rename it, or say in {FILE_NAME} how the "
        "splits are made: `splits: {seed: 0}`"
    )


def _merged(divisions: Sequence[_Division]) -> dict[Pair, Split]:
    """Return the split of each named sample; a list of train and val together gives way."""
    splits: dict[Pair, Split] = {}
    by: dict[Pair, Path] = {}
    for division in divisions:
        for pair, split in division.names:
            if pair not in splits:
                splits[pair], by[pair] = split, division.file
            elif splits[pair] != split and not is_of_both(division.file.stem):
                raise disagreement(pair.image.name, splits[pair], by[pair], split, division.file)
    order = {split: place for place, split in enumerate(SPLITS)}
    return dict(sorted(splits.items(), key=lambda item: order[item[1]]))
