"""Splits: from a file, from folders, or drawn by a hash that new files do not disturb.

The drawn split of a sample follows from a hash of the seed and its name alone, so new files never
move old ones. Then a few samples are moved in a fixed order, so that no split is empty, and each
class that occurs in two images or more occurs in train and in val.

Samples with equal image files are drawn together, so that no drawn split leaks. Equal masks join
nothing: the masks of all images without an object are equal.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from maskzoo.models.errors import DataError, SpecError, counted
from maskzoo.training.data.find.listed.tables import looks_like_image, read_table, split_of_word
from maskzoo.training.data.records.description import SplitRule
from maskzoo.training.data.records.samples import FRACTIONS, SPLITS, Pair, Split


def settle_splits(
    pairs: Sequence[Pair],
    rule: SplitRule,
    *,
    root: Path,
    seed: int,
    classes: Mapping[str, frozenset[int]],
    contents: Mapping[str, str],
) -> tuple[Mapping[str, Split], str]:
    """Return the split of each pair: from a file, from the folders, or from a seeded hash.

    Args:
        pairs: images and masks, with the split of their folders.
        rule: rule for splits in dataset.yaml.
        root: the folder of the data, to which the file of the rule is relative.
        seed: of the hash.
        classes: class ids in the mask of each sample, by stem.
        contents: hash of the image file of each sample, by stem, where it could be read.

    Returns:
        The split of each stem, and a note that says where the splits come from.

    Raises:
        DataError: the file of the rule leaves samples out.
        SpecError: the file of the rule is wrong.
    """
    if rule.file is not None:
        listed = read_split_file(root / rule.file)
        missing = [pair.stem for pair in pairs if pair.stem not in listed]
        if missing:
            raise DataError(
                f"{rule.file} gives no split for {counted(len(missing), 'sample')}: "
                f"{', '.join(missing[:5])}; add a line for each, or exclude them"
            )
        return listed, f"splits: from {rule.file}"
    given: dict[str, Split] = {pair.stem: pair.split for pair in pairs if pair.split is not None}
    loose = [pair.stem for pair in pairs if pair.split is None]
    fractions = dict(rule.fractions)
    copies: dict[str, Split] = {}
    note = f"splits: train, val and test by hash with seed {seed}; new files move no others"
    if not loose and "val" in given.values():
        return given, "splits: as given"
    if not loose:
        loose = [stem for stem, split in given.items() if split == "train"]
        fractions = {"train": 0.85, "val": 0.15}
        note = f"splits: there is no val, so 15 % of train became val, by hash with seed {seed}"
    elif given:
        copies = _copies_of_given(loose, given, contents)
        note = f"splits: {len(given)} as given; the other {len(loose)} by hash with seed {seed}"
    drawn = assign_splits(
        [stem for stem in loose if stem not in copies],
        seed=seed,
        classes=classes,
        fractions=fractions,
        group=rule.group,
        contents=contents,
    )
    number = Counter(contents[stem] for stem in drawn if stem in contents)
    equal = len(copies) + sum(count for count in number.values() if count > 1)
    if equal:
        note += f"; {equal} images equal another and share its split"
    return {**given, **drawn, **copies}, note


def _copies_of_given(
    stems: Sequence[str], given: Mapping[str, Split], contents: Mapping[str, str]
) -> dict[str, Split]:
    """Return the split of each stem whose image file equals one with a given split."""
    split_of: dict[str, Split] = {}
    for stem in sorted(given, key=lambda stem: SPLITS.index(given[stem])):
        if stem in contents:
            split_of.setdefault(contents[stem], given[stem])
    return {stem: split_of[contents[stem]] for stem in stems if contents.get(stem) in split_of}


def read_split_file(path: Path) -> dict[str, Split]:
    """Read a table of names and splits, in any form of `training.data.find.listed.tables`.

    Returns:
        The split of each stem; names lose the suffix of an image.

    Raises:
        SpecError: the file or a row is wrong.
    """
    try:
        table = read_table(path)
    except DataError as error:
        raise SpecError(str(path), [str(error)]) from None
    splits = table.split_column()
    names = next((n for n in range(table.width) if table.role(n) == "image"), int(splits == 0))
    if splits is None or splits == names or names >= table.width:
        raise SpecError(str(path), ["give a table with the columns stem and split"])
    mistakes: list[str] = []
    result: dict[str, Split] = {}
    for name, word in zip(table.column(names), table.column(splits), strict=True):
        split = split_of_word(word)
        stem = PurePosixPath(name).with_suffix("").as_posix() if looks_like_image(name) else name
        if not stem or split is None:
            mistakes.append(f"{name!r} is in the split {word!r}; write train, val or test")
        elif result.setdefault(stem, split) != split:
            mistakes.append(f"{name!r} is in {result[stem]} and in {split}; leave it in one")
    if mistakes:
        raise SpecError(str(path), mistakes)
    return result


def assign_splits(
    stems: Sequence[str],
    *,
    seed: int,
    classes: Mapping[str, frozenset[int]],
    fractions: Mapping[Split, float] = FRACTIONS,
    group: str | None = None,
    contents: Mapping[str, str] | None = None,
) -> dict[str, Split]:
    """Draw the split of each stem.

    Args:
        stems: names of the samples.
        seed: seed of the hash.
        classes: class ids in the mask of each stem, for the stratification.
        fractions: fraction of each split; a split of fraction 0, or not named, is not used.
        group: regular expression; samples with the same match, or the same first group of it, stay
            together. Use it for frames of a video or parts of a tile.
        contents: hash of the image file of each stem; groups that share one stay together.
    """
    keys = _join_equal({stem: _group_key(stem, group) for stem in stems}, contents or {})
    places = {key: _place(key, seed) for key in sorted(set(keys.values()))}
    split_of = {key: _by_threshold(place, fractions) for key, place in places.items()}
    _fill_empty(split_of, places, fractions)
    present: dict[str, set[int]] = {key: set() for key in places}
    for stem, key in keys.items():
        present[key] |= classes.get(stem, frozenset())
    used = [split for split in SPLITS[:2] if fractions.get(split, 0) > 0]  # train and val
    _spread_classes(split_of, places, present, used)
    return {stem: split_of[key] for stem, key in keys.items()}


def _group_key(stem: str, group: str | None) -> str:
    if group is None:
        return stem
    match = re.search(group, stem)
    if match is None:
        return stem
    return match.group(1) if match.groups() else match.group(0)


def _join_equal(keys: Mapping[str, str], contents: Mapping[str, str]) -> dict[str, str]:
    """Return the keys, where keys that share the content of a file become the first by name."""
    parent = {key: key for key in keys.values()}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    holder: dict[str, str] = {}
    for stem, key in keys.items():
        if stem in contents:
            first, other = sorted((root(key), root(holder.setdefault(contents[stem], key))))
            parent[other] = first
    return {stem: root(key) for stem, key in keys.items()}


def _place(key: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on the seed and the name alone."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _by_threshold(place: float, fractions: Mapping[Split, float]) -> Split:
    total = sum(fractions.values())
    edge = 0.0
    used = [split for split in SPLITS if fractions.get(split, 0) > 0]
    for split in used:
        edge += fractions[split] / total
        if place < edge:
            return split
    return used[-1]


def _fill_empty(
    split_of: dict[str, Split], places: Mapping[str, float], fractions: Mapping[Split, float]
) -> None:
    """Move a key into each empty split, train first, from the largest that can spare one."""
    used = [split for split in SPLITS if fractions.get(split, 0) > 0]
    for rank, split in enumerate(used):
        if split in split_of.values():
            continue
        sizes = {name: sum(value == name for value in split_of.values()) for name in used}
        donors = [name for name in used if sizes[name] > 1 or (name in used[rank:] and sizes[name])]
        if not donors:
            return
        largest = max(donors, key=lambda name: sizes[name])
        moved = max((key for key in split_of if split_of[key] == largest), key=places.__getitem__)
        split_of[moved] = split


def _spread_classes(
    split_of: dict[str, Split],
    places: Mapping[str, float],
    present: Mapping[str, set[int]],
    used: Sequence[Split],
) -> None:
    """Move keys until each class that two keys or more hold is in every split of `used`."""
    for label in sorted({label for labels in present.values() for label in labels}):
        holders = sorted((key for key in present if label in present[key]), key=places.__getitem__)
        for split in used:
            if len(holders) < 2 or any(split_of[key] == split for key in holders):
                continue
            others = [key for key in holders if _can_leave(key, split_of, present)]
            if others:
                split_of[others[-1]] = split


def _can_leave(key: str, split_of: Mapping[str, Split], present: Mapping[str, set[int]]) -> bool:
    """Tell whether the other keys of its split hold each class of `key`; test gives freely."""
    if split_of[key] == "test":
        return sum(split == "test" for split in split_of.values()) > 1
    mates = [other for other in split_of if split_of[other] == split_of[key] and other != key]
    rest: set[int] = set().union(*(present[other] for other in mates)) if mates else set()
    return bool(mates) and present[key] <= rest
