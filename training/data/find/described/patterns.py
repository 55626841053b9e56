"""Patterns of dataset.yaml: `{split}/images/{stem}_training.tif`.

A name in braces stands for a part of a file or folder name, the same part wherever it occurs.
Image and mask belong together if the parts that both patterns name are equal. `{split}` is a folder
or word that names a split, `{class}` names a class. `*` stands for anything within a name, `**` for
any folders. Capitals matter, except in suffixes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskzoo.models.errors import SpecError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, Split

_TOKEN = re.compile(r"\{(\w+)\}|(\*\*/?)|(\*)")
_SUFFIX = re.compile(r"\.\w+$")
Parts = Mapping[str, str]


def is_pattern(text: str) -> bool:
    """Tell whether a text has placeholders; else it names a folder or a file."""
    return bool(_TOKEN.search(text))


@dataclass(frozen=True)
class Found:
    """A file that a pattern matches.

    Args:
        path: the file.
        parts: what each name in braces stands for.
    """

    path: Path
    parts: Parts


def names_in(pattern: str) -> frozenset[str]:
    """Return the names in braces."""
    return frozenset(match[1] for match in _TOKEN.finditer(pattern) if match[1])


def match_pattern(
    listing: Listing, pattern: str, splits: Mapping[str, Split], *, lazy: bool = True
) -> list[Found]:
    """Return the files that a pattern matches, sorted.

    Args:
        listing: the files.
        pattern: relative to the root.
        splits: the words that `{split}` stands for, in lower case.
        lazy: the first of two neighbouring names is as short as possible, else as long.
    """
    regex = _compiled(pattern, splits, lazy=lazy)
    found = (
        (path, regex.fullmatch(composed(listing.relative(path)))) for path in listing.all_files
    )
    return [Found(path, match.groupdict()) for path, match in found if match]


def _compiled(pattern: str, splits: Mapping[str, Split], *, lazy: bool) -> re.Pattern[str]:
    text = composed(pattern).removeprefix("./").strip("/")
    words = "|".join(sorted(map(re.escape, splits), key=len, reverse=True))
    any_name = "[^/]+?" if lazy else "[^/]+"
    known: set[str] = set()
    written: list[str] = []
    place = 0
    suffix = match.start() if (match := _SUFFIX.search(text)) else len(text)
    for token in _TOKEN.finditer(text):
        written.append(_literal(text, place, token.start(), suffix))
        place = token.end()
        name = token[1]
        if name is None:
            written.append("(?:.*/)?" if token[2] == "**/" else ".*" if token[2] else "[^/]*")
        elif name in known:
            written.append(f"(?P={name})")
        else:
            known.add(name)
            written.append(f"(?P<{name}>{f'(?i:{words})' if name == 'split' else any_name})")
    written.append(_literal(text, place, len(text), suffix))
    return re.compile("".join(written), re.DOTALL)


def _literal(text: str, start: int, end: int, suffix: int) -> str:
    """Return a part of a pattern that stands for itself; suffixes match without capitals."""
    first, second = text[start : min(end, suffix)], text[max(start, suffix) : end]
    return re.escape(first) + (f"(?i:{re.escape(second)})" if second else "")


def words_of_splits(folders: Mapping[Split, Sequence[str]]) -> dict[str, Split]:
    """Return the words that stand for splits: those that are given, else the usual ones."""
    given = {composed(word).lower(): split for split, words in folders.items() for word in words}
    return given or dict(SPLIT_FOLDERS)


@dataclass(frozen=True)
class Joined:
    """An image with all its masks, as patterns found them.

    Args:
        image: the image.
        masks: the masks, each with its class; an empty name where patterns name no class.
        parts: what the names in the pattern of the image stand for.
    """

    image: Path
    masks: tuple[tuple[str, Path], ...]
    parts: Parts


@dataclass(frozen=True)
class MaskPattern:
    """A pattern of masks.

    Args:
        text: the pattern.
        label: the class that the masks show; empty where `{class}` or the masks say so.
    """

    text: str
    label: str = ""


def join_patterns(
    listing: Listing,
    images: Sequence[str],
    masks: Sequence[MaskPattern],
    splits: Mapping[str, Split],
) -> list[Joined]:
    """Return the images that patterns find, with their masks; none where they have none.

    Args:
        listing: the files.
        images: patterns of images.
        masks: patterns of masks. As many as there are for images belong to one each.
        splits: the words that `{split}` stands for.

    Raises:
        SpecError: a pattern matches nothing, or two patterns name no part that both have.
    """
    pairs = [(image, mask) for image in images for mask in masks]
    if len(images) == len(masks) > 1 and len({mask.label for mask in masks}) == 1:
        pairs = list(zip(images, masks, strict=True))
    found = {text: match_pattern(listing, text, splits) for text in images}
    found |= {mask.text: match_pattern(listing, mask.text, splits) for mask in masks}
    mistakes = [f"{text!r} matches no file" for text in found if not found[text]]
    of_masks = {file.path for mask in masks for file in found[mask.text]}
    rows: dict[Path, Joined] = {
        file.path: Joined(file.path, (), file.parts)
        for text in images
        for file in found[text]
        if file.path not in of_masks
    }
    for image, mask in pairs:
        shared = (names_in(image) & names_in(mask.text)) - {"class"}
        if not shared and (len(found[image]) > 1 or len(found[mask.text]) > 1):
            mistakes.append(
                f"{image!r} and {mask.text!r} name no part that both have; write {{stem}} for what "
                "the names of image and mask share"
            )
            continue
        _add_masks(listing, rows, found[image], mask, (shared, splits))
    if mistakes:
        raise SpecError("dataset.yaml: images and masks", mistakes)
    return [rows[path] for path in sorted(rows)]


def _add_masks(
    listing: Listing,
    rows: dict[Path, Joined],
    images: Sequence[Found],
    mask: MaskPattern,
    said: tuple[frozenset[str], Mapping[str, Split]],
) -> None:
    """Add the masks of one pattern to the images of another."""
    shared, splits = said
    by_key: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in images:
        if file.path in rows:
            by_key[_key(file.parts, shared, splits)].append(file.path)
    taken: set[Path] = set()
    for lazy in (True, False):
        for file in match_pattern(listing, mask.text, splits, lazy=lazy):
            key = _key(file.parts, shared, splits)
            if file.path in taken or key not in by_key:
                continue
            taken.add(file.path)
            label = mask.label or file.parts.get("class", "")
            for image in by_key[key]:
                row = rows[image]
                rows[image] = Joined(image, (*row.masks, (label, file.path)), row.parts)


def _key(parts: Parts, shared: frozenset[str], splits: Mapping[str, Split]) -> tuple[str, ...]:
    return tuple(
        splits.get(parts[name].lower(), parts[name]) if name == "split" else parts[name]
        for name in sorted(shared)
    )
