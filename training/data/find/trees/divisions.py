"""Divisions: sibling folders that repeat the same structure, and may be splits of unusual names.

`train` beside `held_out`, `tr` beside `te`, `fold_1` to `fold_5`: a split would be drawn over one
that is published. Abbreviations, and the only name that is left for the only split that is left,
are taken as that and said. Else there is a variant for each meaning, and a person chooses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from maskzoo.training.data.find.trees.records import Leaf, Row, Variant
from maskzoo.training.data.find.trees.templates import varying
from maskzoo.training.data.find.trees.words import ASK, DRAWN, MORE, SHORT, words_of
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, SPLITS, Split

_MOST_PARTS = 20  # folders that are named in a note

Around = tuple[tuple[str, ...], str, tuple[str, ...]]
Meaning = Mapping[str, Split]  # the folder of a split, and the split


def divided(variants: Sequence[Variant]) -> list[Variant]:
    """Return the variants with the splits of unusual names, one for each meaning they may have."""
    return [new for variant in variants for new in _divided(variant)]


def _divided(variant: Variant) -> Iterator[Variant]:
    parts = _unknown(variant.rows)
    known = {row.split for row in variant.rows if row.split is not None}
    left = [split for split in SPLITS if split not in known]
    if not parts:
        yield variant
    elif known and len(parts) == len(left) == 1 and not MORE.intersection(words_of(parts[0])):
        yield _taken(variant, {parts[0]: left[0]})
    elif known:
        for split in (*left, *(split for split in SPLITS if split in known))[:3]:
            yield _chosen(variant, dict.fromkeys(parts, split))
    elif all(part.lower() in SHORT for part in parts):
        yield _taken(variant, {part: SHORT[part.lower()] for part in parts})
    elif all(ASK.fullmatch(part) for part in parts):
        last: Split = "test" if {"public", "private"} & {part.lower() for part in parts} else "val"
        ordered = sorted(parts, key=lambda part: (part.lower() == "private", part))
        yield _chosen(variant, {**dict.fromkeys(ordered[:-1], "train"), ordered[-1]: last})
        yield replace(variant, division=DRAWN)
    else:
        yield _with_note(variant, parts)


def _unknown(rows: Sequence[Row]) -> list[str]:
    """Return the folders of rows without a split that repeat what lies below their siblings."""
    changing = frozenset(varying(rows))
    beside = _siblings_with_split(rows)
    found: dict[Around, dict[str, None]] = defaultdict(dict)
    for leaf, row in {row.edge.images.folder: (row.edge.images, row) for row in rows}.values():
        if row.split is not None:
            continue
        for place, part in _units(leaf):
            around = _around(leaf, place, part)
            if part in row.edge.shared and (around in beside or (part in changing and not beside)):
                found[around][part] = None
                break
    if not found:
        return []
    parts = [*max(found.values(), key=len)]
    return parts if beside or len(parts) > 1 else []


def _units(leaf: Leaf) -> Iterator[tuple[int, str]]:
    """Yield the parts on the way to a leaf, and the word beside its role, each with its place."""
    for place, part in enumerate(leaf.parts):
        yield place, leaf.extra if leaf.extra and place == leaf.extra_place else part


def _around(leaf: Leaf, place: int, part: str) -> Around:
    """Return what stands above a part of the way to a leaf, in the same part, and below."""
    beside = "" if part == leaf.parts[place] else leaf.bare_parts[place]
    return leaf.parts[:place], beside, leaf.parts[place + 1 :]


def _siblings_with_split(rows: Sequence[Row]) -> set[Around]:
    """Return what stands around the words of splits on the way to images."""
    leaves: dict[Path, Leaf] = {row.edge.images.folder: row.edge.images for row in rows}
    return {
        (leaf.parts[:place], leaf.bare_parts[place], leaf.parts[place + 1 :])
        for leaf in leaves.values()
        for place, part in enumerate(leaf.parts)
        if leaf.split is not None and leaf.split in map(SPLIT_FOLDERS.get, words_of(part))
    }


def _taken(variant: Variant, meaning: Meaning) -> Variant:
    """Return a variant with splits whose names leave no doubt, and a note."""
    listed = ", ".join(f"{part} is {split}" for part, split in meaning.items())
    note = f"folders of splits by their names: {listed}"
    return replace(_with_splits(variant, meaning), notes=(*variant.notes, note))


def _chosen(variant: Variant, meaning: Meaning) -> Variant:
    """Return a variant with splits that a person must choose."""
    by_split: dict[Split, list[str]] = defaultdict(list)
    for part, split in meaning.items():
        by_split[split].append(part)
    texts = [f"{' '.join(parts)} as {split}" for split, parts in by_split.items()]
    return replace(_with_splits(variant, meaning), division=", ".join(texts))


def _with_note(variant: Variant, parts: Sequence[str]) -> Variant:
    fewest = min(sum(part in row.edge.images.key for row in variant.rows) for part in parts)
    if len(parts) > _MOST_PARTS or fewest < 2:
        return variant
    note = (
        f"folders {', '.join(parts)} are taken as parts of one data set, and not as splits; "
        "`splits: {folders: …}` in dataset.yaml says otherwise"
    )
    return replace(variant, notes=(*variant.notes, note))


def _with_splits(variant: Variant, meaning: Meaning) -> Variant:
    rows = tuple(_in_split(row, meaning) for row in variant.rows)
    folders: dict[Split, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row.split is not None:
            folders[row.split].update(dict.fromkeys(_words(row, row.split)))
    ordered = {split: tuple(folders[split]) for split in SPLITS if split in folders}
    return replace(variant, rows=rows, folders=ordered)


def _in_split(row: Row, meaning: Meaning) -> Row:
    part = next((part for part in row.edge.images.key if part in meaning), None)
    if part is None or row.split is not None:
        return row
    edge = row.edge
    images, masks = (_leaf(leaf, part, meaning[part]) for leaf in (edge.images, edge.masks))
    return replace(row, edge=replace(edge, images=images, masks=masks))


def _leaf(leaf: Leaf, part: str, split: Split) -> Leaf:
    bare = zip(leaf.parts, leaf.bare_parts, strict=True)
    return replace(
        leaf,
        split=split,
        split_part=part,
        key=tuple(other for other in leaf.key if other != part),
        bare_parts=tuple("" if other == part else text for other, text in bare),
    )


def _words(row: Row, split: Split) -> Iterator[str]:
    """Yield the words that stand for the split of a row in its paths."""
    for leaf, file in ((row.edge.images, row.image), (row.edge.masks, row.masks[0])):
        if leaf.split_part:
            yield leaf.split_part
        else:
            words = (word for part in (*leaf.parts, file.stem) for word in words_of(part))
            yield from (word for word in words if SPLIT_FOLDERS.get(word) == split)
