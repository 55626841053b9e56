"""Patterns of dataset.yaml for images and masks that were found: `{split}/images/{stem}.tif`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.trees.records import Row, Variant
from maskzoo.training.data.records.readings.index import YamlValue
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, Split


def varying(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return the parts of the image folders' keys that differ among rows, in order."""
    edges = {id(row.edge): row.edge for row in rows}.values()
    keys = [frozenset(edge.images.key) for edge in edges]
    common = frozenset.intersection(*keys) if keys else frozenset()
    found: dict[str, None] = {}
    for edge in edges:
        found.update(dict.fromkeys(part for part in edge.images.key if part not in common))
    return tuple(found)


def folders_of(row: Row, changing: frozenset[str]) -> tuple[str, ...]:
    """Return the folders that belong to the name of an image: those that differ among rows, and
    those below the folder that says what it holds, where image and mask share them.

    Args:
        row: an image with its masks.
        changing: the parts that differ, from `varying`.
    """
    leaf = row.edge.images
    key = frozenset(leaf.key)
    said = [place for place, part in enumerate(leaf.parts) if part not in key]
    below = max(said, default=len(leaf.parts))
    found: list[str] = []
    for place, part in enumerate(leaf.parts):
        is_shared_below = place > below and part in row.edge.shared
        if part in key and (part in changing or is_shared_below):
            found.append(part)
        elif leaf.extra in changing and place == leaf.extra_place:
            found.append(leaf.extra)
    return tuple(found)


def patterns_of(
    rows: Sequence[Row], root: Path, *, objects: bool = False
) -> tuple[list[str], list[str]]:
    """Return the patterns of images and those of masks, one of each for each kind of row.

    Args:
        rows: what the patterns must match.
        root: the folder that they are relative to.
        objects: every file in the folder of the masks belongs to the image.
    """
    writer = _Writer(root, frozenset(varying(rows)))
    pairs: dict[tuple[str, str], None] = {}
    for row in rows:
        image = writer.pattern(row.image, row, any_name=not row.key)
        for mask in row.masks:
            pairs[image, writer.pattern(mask, row, any_name=objects)] = None
    return [image for image, _ in pairs], [mask for _, mask in pairs]


def keys_of(variant: Variant, images: Sequence[str], masks: YamlValue) -> dict[str, YamlValue]:
    """Return the keys of dataset.yaml that say a variant."""
    keys: dict[str, YamlValue] = {"images": one_or_list(images), "masks": masks}
    folders: dict[str, YamlValue] = {
        split: one_or_list(words) for split, words in variant.folders.items()
    }
    return {**keys, "splits": {"folders": folders}} if folders else keys


def one_or_list(patterns: Sequence[str]) -> YamlValue:
    """Return a single pattern as it is, and several as a list."""
    same = list(dict.fromkeys(patterns))
    return same[0] if len(same) == 1 else list(patterns)


class _Writer:
    """Writes the patterns of rows; files of one folder share the work.

    Args:
        root: the folder that patterns are relative to.
        changing: the parts that differ among rows, from `varying`.
    """

    def __init__(self, root: Path, changing: frozenset[str]) -> None:
        self._root = root
        self._changing = changing
        self._folders: dict[tuple[int, Path], str] = {}

    def pattern(self, path: Path, row: Row, *, any_name: bool) -> str:
        """Return the pattern of a file of a row."""
        key = (id(row.edge), path.parent)
        if key not in self._folders:
            self._folders[key] = "".join(f"{name}/" for name in self._names(path.parent, row))
        name = PurePosixPath(composed(path.name))
        if not any_name:
            return self._folders[key] + _stem(name, row)
        return self._folders[key] + (_stem(name, row, end="*") if row.key else f"*{name.suffix}")

    def _names(self, folder: Path, row: Row) -> Iterator[str]:
        named = frozenset(folders_of(row, self._changing)) & row.edge.shared
        number = 0
        for part in map(composed, folder.relative_to(self._root).parts):
            inside = _extra_in(part, row)
            if part in named or (inside and inside in named):
                number += 1
                word = "{folder}" if number == 1 else f"{{folder{number}}}"
                yield part.replace(inside or part, word, 1)
            elif inside and inside == row.edge.images.split_part:
                yield part.replace(inside, "{split}", 1)
            else:
                is_split = part == row.edge.images.split_part
                yield "{split}" if is_split else _with_split(part, row.split)


def _extra_in(part: str, row: Row) -> str:
    """Return the word beside the role in the name of a folder, such as `Rural`; else nothing."""
    for leaf in (row.edge.images, row.edge.masks):
        if leaf.extra and part == leaf.parts[leaf.extra_place]:
            return leaf.extra
    return ""


def _stem(name: PurePosixPath, row: Row, end: str = "") -> str:
    """Return the name of a file with `{stem}` for what image and mask share."""
    if not row.key:
        return name.name
    head, tail = around(name.stem, row.key)
    tail = end or _with_split(tail, row.split)
    return f"{_with_split(head, row.split)}{{stem}}{tail}{name.suffix}"


def around(text: str, key: str) -> tuple[str, str]:
    """Return what stands before and behind a key in a name.

    Of several places it is the one where the key is not a part of a number or word: `9` in
    `dsm_09cm_area9` is its end.
    """
    places = list(_places(text, key))
    whole = [place for place in places if _is_whole(text, place, key)]
    if not places:
        return text, ""
    place = (whole or places)[0]
    return text[:place], text[place + len(key) :]


def _places(text: str, key: str) -> Iterator[int]:
    place = text.find(key)
    while place >= 0:
        yield place
        place = text.find(key, place + len(key))


def _is_whole(text: str, place: int, key: str) -> bool:
    before, after = text[:place][-1:], text[place + len(key) :][:1]
    kinds = ((before, key[0]), (key[-1], after))
    return not any(
        (one.isdigit() and other.isdigit()) or (one.isalpha() and other.isalpha())
        for one, other in kinds
    )


@cache
def _with_split(text: str, split: Split | None) -> str:
    """Return a name with `{split}` for the word of its split."""
    if split is None:
        return text
    for word in _WORDS_OF_SPLITS[split]:
        match = re.search(rf"(?<![a-zA-Z]){word}(?![0-9a-z])|^{word}", text, re.IGNORECASE)
        if match:
            return f"{text[: match.start()]}{{split}}{text[match.end() :]}"
    return text


_WORDS_OF_SPLITS: dict[str, list[str]] = {
    split: sorted((w for w, s in SPLIT_FOLDERS.items() if s == split), key=len, reverse=True)
    for split in set(SPLIT_FOLDERS.values())
}
