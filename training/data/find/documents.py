"""Documents that list many images each: where they lie, and which split each of them is.

The name of a document, or of a folder above it, says its split (`instances_train.json`). Where
several documents say none and are numbered as folds or splits are, there is a reading for each
meaning, and a person chooses. Others are batches of one data set, which a check reports.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.trees.words import ASK, DRAWN, MORE, SHORT, split_folders, words_of
from maskzoo.training.data.records.readings.index import FileIndex, YamlValue
from maskzoo.training.data.records.samples import SPLITS, Split

_MOST_FOLDERS = 64  # below a folder, each of which may hold a document
_MOST_NAMES = 4  # that are written out
_LEVELS = 3  # of folders that are searched
_WORD = re.compile(r"[^\W_]+")
_TESTS = frozenset({"public", "private"})


def document_files(
    listing: Listing,
    root: Path,
    suffix: str,
    names: Sequence[str],
    is_told: Callable[[frozenset[str]], object],
) -> list[Path]:
    """Return the files that may be documents, sorted.

    They lie in the folder itself, in those of annotations and in those of the splits; where none
    of these holds one, so in each folder below it (`task_1/annotations.xml`), and
    one level deeper (`annotations/fold_1/a.json`).

    Args:
        listing: the files.
        root: the folder.
        suffix: of the documents, in lower case.
        names: lower-case names of folders of annotations.
        is_told: whether the telling words of a file may be those of a document.
    """

    def of(folder: Path) -> set[Path]:
        places = [
            folder,
            *listing.named(folder, names),
            *split_folders(listing.folders(folder)).values(),
        ]
        files = {file for place in places for file in listing.files(place, {suffix}, deep=False)}
        return {file for file in files if is_told(listing.tells(file))}

    level = [root]
    for _ in range(_LEVELS):
        found = set().union(*map(of, level))
        if found:
            return sorted(found)
        level = [child for folder in level for child in listing.folders(folder)[:_MOST_FOLDERS]]
    return []


def listed_names(names: Sequence[str]) -> str:
    """Return names as text: all of a few, or the first one and the number of the others."""
    different = list(dict.fromkeys(names))
    if len(different) <= _MOST_NAMES:
        return ", ".join(different)
    return f"{different[0]} and {len(different) - 1} others"


def with_meanings(listing: Listing, index: FileIndex) -> list[FileIndex]:
    """Return a reading of documents with their splits, once for each meaning that names may have.

    Args:
        listing: the files.
        index: the reading; the masks of its pairs are the documents.
    """
    splits: dict[Path, set[Split | None]] = defaultdict(set)
    for pair in index.pairs:
        splits[pair.mask].add(pair.split)
    unknown = [file for file, found in splits.items() if None in found]
    known = {split for found in splits.values() for split in found if split is not None}
    is_one_each = len(index.pairs) < 2 * len(splits)
    if not unknown or len(splits) < 2 or is_one_each:
        return [index]
    words = _distinct_words(listing, list(splits))
    left = [split for split in SPLITS if split not in known]
    if known:
        if len(unknown) == len(left) == 1 and not MORE.intersection(words_of(words[unknown[0]])):
            return [_taken(listing, index, {unknown[0]: left[0]}, words)]
        meanings = [*left, *(split for split in SPLITS if split in known)][:3]
        return [_chosen(listing, index, dict.fromkeys(unknown, split), words) for split in meanings]
    if all(words[file].lower() in SHORT for file in unknown):
        meaning = {file: SHORT[words[file].lower()] for file in unknown}
        return [_taken(listing, index, meaning, words)]
    if all(ASK.fullmatch(words[file]) for file in unknown):
        last: Split = "test" if any(words[f].lower() in _TESTS for f in unknown) else "val"
        ordered = sorted(unknown, key=lambda file: (words[file].lower() == "private", words[file]))
        meaning = {**dict.fromkeys(ordered[:-1], "train"), ordered[-1]: last}
        drawn = replace(index, origin=replace(index.origin, name=f"{index.origin.name} ({DRAWN})"))
        return [_chosen(listing, index, meaning, words), drawn]
    return [index]


def _distinct_words(listing: Listing, files: Sequence[Path]) -> dict[Path, str]:
    """Return what the path of each document says that the others do not.

    A number has the word before it, as in `fold_1`. Where nothing differs it is the whole name.
    """
    paths = {file: Path(listing.relative(file)).with_suffix("").as_posix() for file in files}
    matches = {file: [*_WORD.finditer(path)] for file, path in paths.items()}
    shared = set.intersection(*({match[0] for match in found} for found in matches.values()))
    words: dict[Path, str] = {}
    for file, found in matches.items():
        own = [place for place, match in enumerate(found) if match[0] not in shared]
        if not own:
            words[file] = file.stem
            continue
        first = own[0]
        text = paths[file]
        if found[first][0].isdigit() and first:
            is_glued = "/" not in text[found[first - 1].end() : found[first].start()]
            first -= is_glued
        words[file] = text[found[first].start() : found[own[-1]].end()]
    return words


def _taken(
    listing: Listing, index: FileIndex, meaning: Mapping[Path, Split], words: Mapping[Path, str]
) -> FileIndex:
    """Return a reading with splits whose names leave no doubt, and a note."""
    listed = ", ".join(f"{words[file]} is {split}" for file, split in meaning.items())
    index = _with_splits(listing, index, meaning, words)
    return replace(index, notes=(*index.notes, f"splits of documents by their names: {listed}"))


def _chosen(
    listing: Listing, index: FileIndex, meaning: Mapping[Path, Split], words: Mapping[Path, str]
) -> FileIndex:
    """Return a reading with splits that a person must choose."""
    by_split: dict[Split, list[str]] = defaultdict(list)
    for file, split in meaning.items():
        by_split[split].append(words[file])
    texts = [f"{' '.join(names)} as {split}" for split, names in by_split.items()]
    index = _with_splits(listing, index, meaning, words)
    name = f"{index.origin.name} ({', '.join(texts)})"
    return replace(index, origin=replace(index.origin, name=name))


def _with_splits(
    listing: Listing, index: FileIndex, meaning: Mapping[Path, Split], words: Mapping[Path, str]
) -> FileIndex:
    """Return a reading with a split for each document, and the yaml that says so."""
    pairs = tuple(replace(pair, split=pair.split or meaning.get(pair.mask)) for pair in index.pairs)
    splits = {**meaning, **{pair.mask: pair.split for pair in pairs if pair.split is not None}}
    patterns: dict[str, None] = {}
    folders: dict[Split, dict[str, None]] = defaultdict(dict)
    for file, split in splits.items():
        patterns[listing.relative(file).replace(words[file], "{split}", 1)] = None
        folders[split][words[file]] = None
    said: dict[str, YamlValue] = {split: [*folders[split]] for split in SPLITS if split in folders}
    keys = {**index.origin.keys, "annotations": [*patterns], "splits": {"folders": said}}
    return replace(index, pairs=pairs, origin=replace(index.origin, keys=keys))
