"""The account of a folder after a reading, and after a failure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskzoo.models.errors import ZooError
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing, suffix_of
from maskzoo.training.data.files.text import damage_of
from maskzoo.training.data.joins.joined import JoinedMasks
from maskzoo.training.data.masks.lists.classlists import read_class_lists
from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.facts import PairFacts
from maskzoo.training.data.records.readings.account import (
    EXCLUDED,
    UNREADABLE,
    Account,
    number_in,
)
from maskzoo.training.data.records.readings.index import FileIndex, LeftOut
from maskzoo.training.data.records.samples import Pair

_MOST_READ = 1000  # json and xml files that nobody uses
_NAMES = frozenset({".names", ".yaml", ".yml"})  # suffixes of YOLO's class names


def take_account(
    listing: Listing, index: FileIndex, pairs: Sequence[Pair], description: Path | None = None
) -> Account:
    """Return what became of every file.

    Args:
        listing: the files.
        index: the reading.
        pairs: its pairs without those that a person excludes.
        description: the dataset.yaml that was read, where it is not the one in the folder.
    """
    sorted_out = _Sorter()
    is_drawn = index.annotations is not None and not isinstance(index.annotations, JoinedMasks)
    sorted_out.use("images", (pair.image for pair in pairs))
    sorted_out.use("annotations" if is_drawn else "masks", _mask_files(index, pairs))
    sorted_out.use("lists", index.helpers)
    sorted_out.use("annotations", _documents(listing, index))
    sorted_out.use("description", [description or listing.root / FILE_NAME], listing)
    sorted_out.use("class names", _class_names(listing, index), listing)
    kept = set(pairs)
    excluded = [pair for pair in index.pairs if pair not in kept]
    sorted_out.leave(
        f"excluded in {FILE_NAME}", (p for pair in excluded for p in (pair.image, pair.mask))
    )
    for left in index.left_out:
        sorted_out.leave(left.reason, left.files)
    known = set(listing.all_files)
    sorted_out.leave("no mask has this name", (p for p in index.images_without_mask if p in known))
    sorted_out.leave("no image has this name", (p for p in index.masks_without_image if p in known))
    _leave_rest(sorted_out, listing)
    _leave_others(sorted_out, listing)
    return sorted_out.account(listing.root)


def account_of_failure(listing: Listing) -> Account:
    """Return the account of a folder of which nothing is used."""
    sorted_out = _Sorter()
    for path in listing.all_files:
        kind = f"{suffix_of(path)} files" if path.suffix else "files without a suffix"
        if not sorted_out.is_damaged(path):
            sorted_out.leave(f"not used, since the data set cannot be read: {kind}", [path])
    _leave_others(sorted_out, listing)
    return sorted_out.account(listing.root)


def failure_json(root: Path, error: ZooError) -> dict[str, Any]:
    """Return the report of a data set that cannot be read, as plain JSON values."""
    files = account_of_failure(Listing.of(root)).to_json() if root.is_dir() else None
    return {
        "root": str(root),
        "error": {"kind": type(error).__name__, "message": str(error), **error.members()},
        "splits": {},
        "classes": [],
        "account": {"files": files, "annotations": None},
        "notes": [],
        "problems": [],
        "num_errors": 1,
    }


def with_lone_images(listing: Listing, index: FileIndex) -> FileIndex:
    """Return a reading with the images beside its own that no annotation or list names."""
    if index.images_without_mask:
        return index
    used = {pair.image for pair in index.pairs} | set(_mask_files(index, index.pairs))
    used |= {path for left in index.left_out for path in left.files}
    folders = {pair.image.parent for pair in index.pairs} - {
        path.parent for path in _mask_files(index, index.pairs) if suffix_of(path) in IMAGE_SUFFIXES
    }
    lone = [
        path for folder in folders for path in listing.files(folder, deep=False) if path not in used
    ]
    return replace(index, images_without_mask=tuple(sorted(lone)))


def with_lost(index: FileIndex, pairs: Sequence[Pair], facts: Sequence[PairFacts]) -> FileIndex:
    """Return a reading with the numbers of annotations of what is excluded or cannot be read.

    Args:
        index: the reading.
        pairs: its pairs without those that a person excludes.
        facts: facts of these pairs, in their order.
    """
    if index.annotations is None:
        return index
    kept = set(pairs)
    bare = [p for p, fact in zip(pairs, facts, strict=True) if fact.mask is None]
    lost = Counter(index.lost)
    for kind, rows in (
        (EXCLUDED, [pair for pair in index.pairs if pair not in kept]),
        (UNREADABLE, bare),
    ):
        count = sum(number_in(index.annotations, pair.mask, pair.image) for pair in rows)
        lost.update({kind: count} if count else {})
    return replace(index, lost=dict(lost))


class _Sorter:
    """Puts every file into one place, the first that claims it."""

    def __init__(self) -> None:
        self._taken: set[Path] = set()
        self._used: dict[str, list[Path]] = {}
        self._left: dict[str, list[Path]] = defaultdict(list)
        self._damage: dict[Path, str] = {}
        self._left_to_read = _MOST_READ

    def use(self, role: str, files: Iterable[Path], among: Listing | None = None) -> None:
        """Note files as used, those in a listing alone where one is given."""
        known = None if among is None else set(among.all_files)
        self._add(
            self._used.setdefault(role, []), (p for p in files if known is None or p in known)
        )

    def leave(self, reason: str, files: Iterable[Path]) -> None:
        """Note files as left out."""
        self._add(self._left[reason], files)

    def is_damaged(self, path: Path) -> bool:
        """Tell whether a json or xml file cannot be read, and note it as left out if so."""
        if suffix_of(path) not in (".json", ".xml") or not self._left_to_read:
            return False
        self._left_to_read -= 1
        detail = damage_of(path)
        if detail:
            self._damage[path] = detail
            self.leave("cannot be read", [path])
        return bool(detail)

    def unclaimed(self, listing: Listing) -> list[Path]:
        """Return the files that nothing was noted of."""
        return [path for path in listing.all_files if path not in self._taken]

    def _add(self, place: list[Path], files: Iterable[Path]) -> None:
        for path in files:
            if path not in self._taken:
                self._taken.add(path)
                place.append(path)

    def account(self, root: Path) -> Account:
        """Return what was noted."""
        used = {role: tuple(files) for role, files in self._used.items() if files}
        left = (
            LeftOut(reason, tuple(files), {p: d for p in files if (d := self._damage.get(p))})
            for reason, files in self._left.items()
            if files
        )
        return Account(root, used, tuple(left))


def _leave_others(sorter: _Sorter, listing: Listing) -> None:
    sorter.leave("hidden, or left by an operating system", listing.litter)
    sorter.leave("a link that leads back to a folder above it", listing.loops)
    sorter.leave("a link to nothing, or a folder that cannot be opened", listing.broken)


def _mask_files(index: FileIndex, pairs: Sequence[Pair]) -> list[Path]:
    if isinstance(index.annotations, JoinedMasks):
        return [path for pair in pairs for path in index.annotations.files(pair.image)]
    return [pair.mask for pair in pairs]


def _documents(listing: Listing, index: FileIndex) -> list[Path]:
    """Return the files that the reading names as its annotations."""
    named = index.origin.keys.get("annotations", ())
    names = [named] if isinstance(named, str) else named
    known = set(listing.all_files)
    paths = [listing.root / name for name in names if isinstance(name, str)]
    return [path for path in paths if path in known]


def _class_names(listing: Listing, index: FileIndex) -> list[Path]:
    folders = [listing.root, *([] if index.base is None else [index.base])]
    lists = [entry for folder in folders for entry in read_class_lists(folder)]
    found = [file for entry in lists for file in (entry.file, *entry.copies)]
    if index.annotations is not None and index.annotations.storage.startswith("YOLO"):
        found += [path for path in listing.files(suffixes=_NAMES) if path.name != FILE_NAME]
        found += [path for path in listing.files(suffixes={".txt"}) if path.stem == "classes"]
    return found


def _leave_rest(sorter: _Sorter, listing: Listing) -> None:
    """Note what nobody claims, with those documents apart that cannot be read."""
    for path in sorter.unclaimed(listing):
        if suffix_of(path) in IMAGE_SUFFIXES:
            sorter.leave("an image or mask that belongs to no sample", [path])
        elif sorter.is_damaged(path):
            continue
        elif path.suffix:
            sorter.leave(f"no reader uses {suffix_of(path)} files here", [path])
        else:
            sorter.leave("no reader uses them", [path])
