"""Pairing of images with masks by file name, within two folders or within one.

A mask belongs to the image of the same stem. If no stems are equal, three ways are tried until one
finds pairs:

1. Well-known affixes are taken off: `_mask`, `_leftImg8bit`, `img_` …
2. What stands in masks around the stem of an image is taken off.
3. The beginning and the end that all images share are taken off, and those of the masks.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from maskzoo.training.data.files.listing import IMAGE_SUFFIXES
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.trees.records import Match
from maskzoo.training.data.find.trees.words import is_known, read_name, words_of
from maskzoo.training.data.records.samples import Pair

_MOST_VOTES = 64  # masks that are asked for their affix
_MOST_AFFIXES = 8  # of masks; behind the stem of an image then stand numbers or names of objects
_RARE = 0.1  # an affix with fewer votes than this fraction of the most frequent one is chance
_JPEG = frozenset({".jpg", ".jpeg"})
_SEPARATORS = " _.-"
_NUMBERED = re.compile(r"(.+[ _.-])([^\W\d_]+)[ _.-]\(?\d{1,3}\)?")  # a last word with a number

Cut = Callable[[str], str]


def unique_stems(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Put the split before stems that occur more than once, so that each stem is unique."""
    counts = Counter(pair.stem for pair in pairs)
    return tuple(
        pair
        if counts[pair.stem] == 1
        else Pair(f"{pair.split}/{pair.stem}", pair.image, pair.mask, pair.split)
        for pair in pairs
    )


def stem_of(path: Path) -> str:
    """Return the name without its suffix, and without that of an image, as in `1.jpg.json`."""
    stem = composed(path.stem)
    return stem[: stem.rindex(".")] if Path(stem).suffix.lower() in IMAGE_SUFFIXES else stem


def divide(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Divide the pictures in one folder into images and masks, by the words around their names.

    Where names have words such as `_mask`, those are the masks. Where they have none, masks are the
    files whose stem begins with that of another file (`01_1stHO` beside `01`), or files of another
    format beside a JPEG of the same stem.
    """
    marked = [path for path in files if core_of(stem_of(path)).role == "mask"]
    chosen = set(marked) if marked else _longer_names(files) or _beside_photos(files)
    return [path for path in files if path not in chosen], [p for p in files if p in chosen]


def match_files(images: Sequence[Path], masks: Sequence[Path]) -> list[Match]:
    """Pair images with masks as the module describes, in the order of the keys."""
    stems = {path: stem_of(path) for path in (*images, *masks)}
    for ours, theirs in _ways(stems, images, masks):
        by_key: dict[str, list[Path]] = defaultdict(list)
        for path in images:
            by_key[ours(stems[path])].append(path)
        groups: dict[str, list[Path]] = defaultdict(list)
        for path in masks:
            groups[theirs(stems[path])].append(path)
        shared = by_key.keys() & groups.keys()
        if shared and all(len(by_key[key]) == 1 for key in shared):
            return [Match(key, by_key[key][0], tuple(groups[key])) for key in sorted(shared)]
    return []


def _ways(
    stems: dict[Path, str], images: Sequence[Path], masks: Sequence[Path]
) -> Iterable[tuple[Cut, Cut]]:
    """Yield the ways to take affixes off the stems of images and of masks."""

    def core(stem: str) -> str:
        return core_of(stem).text

    image_stems = [stems[path] for path in images]
    mask_stems = [stems[path] for path in masks]
    yield str, str
    yield core, core
    yield str, _without_affixes(image_stems, mask_stems)
    cores = [core(stem) for stem in image_stems]
    cut = _without_affixes(cores, [core(stem) for stem in mask_stems])
    yield core, lambda stem: cut(core(stem))
    yield _common_affixes(image_stems), _common_affixes(mask_stems)


@dataclass(frozen=True)
class Core:
    """A stem without the words at its ends that say what the file holds.

    Args:
        text: what is left.
        role: `image` or `mask`, or empty where no word says so.
    """

    text: str
    role: str


def core_of(stem: str) -> Core:
    """Take the words that say what a file holds off both ends of its stem.

    The number of an object behind such a word goes too (`1_mask_2`), unless it is all that there is
    (`mask_2`).
    """
    numbered = _NUMBERED.fullmatch(stem)
    if numbered and _says_role(numbered[2]) and read_name(numbered[2]).role == "mask":
        without = core_of(f"{numbered[1]}{numbered[2]}")
        if without.text:
            return without
    words: list[str] = []
    text = stem
    while match := _last_word(text) or _first_word(text):
        words.append(match[1])
        text = match[0]
    if _says_role(text):
        words, text = [*words, text], ""
    return Core(text, _role(words))


def _last_word(stem: str) -> tuple[str, str] | None:
    """Return the stem without a known last word, and the word."""
    match = re.fullmatch(rf"(.*?[^{_SEPARATORS}])[{_SEPARATORS}]+([^{_SEPARATORS}]+)", stem)
    return (match[1], match[2]) if match and _says_role(match[2]) else None


def _first_word(stem: str) -> tuple[str, str] | None:
    """Return the stem without a known first word, and the word."""
    match = re.fullmatch(rf"([^{_SEPARATORS}]+)[{_SEPARATORS}]+(.+)", stem)
    return (match[2], match[1]) if match and _says_role(match[1]) else None


def _says_role(word: str) -> bool:
    words = words_of(word)
    return bool(words) and all(is_known(part) for part in words)


def _role(words: Sequence[str]) -> str:
    roles = {read_name(word).role for word in words}
    return "mask" if "mask" in roles else "image" if "image" in roles else ""


def _longer_names(files: Sequence[Path]) -> set[Path]:
    """Return the files whose stem is that of another file, a separator and something more."""
    stems = {stem_of(path) for path in files}
    return {path for path in files if any(start in stems for start in _starts(stem_of(path)))}


def _starts(stem: str) -> Iterable[str]:
    for place, letter in enumerate(stem):
        if letter in _SEPARATORS:
            yield stem[:place]


def _beside_photos(files: Sequence[Path]) -> set[Path]:
    """Return the files of another format beside a JPEG of the same stem."""
    photos = {path.with_suffix("") for path in files if path.suffix.lower() in _JPEG}
    return {
        path
        for path in files
        if path.suffix.lower() not in _JPEG and path.with_suffix("") in photos
    }


def _without_affixes(image_stems: Sequence[str], mask_stems: Sequence[str]) -> Cut:
    """Return a function that cuts off what masks have around the stems of images."""
    votes: Counter[tuple[str, str]] = Counter()
    by_length = sorted(filter(None, image_stems), key=len, reverse=True)
    known = frozenset(image_stems)
    step = max(1, len(mask_stems) // _MOST_VOTES)
    asked = mask_stems[::step]
    for mask in asked:
        inside = _start_in(mask, known) or next((s for s in by_length if _stands_in(s, mask)), None)
        if inside is not None:
            head, _, tail = mask.partition(inside)
            votes[head, tail] += 1
    if len(votes) > _MOST_AFFIXES and all(not head for head, _ in votes):
        return lambda mask: _start_in(mask, known) or mask  # behind the stem stands anything
    least = _RARE * max(votes.values(), default=0)
    affixes = sorted(
        (affix for affix, count in votes.items() if count >= least),
        key=lambda affix: -len(affix[0]) - len(affix[1]),
    )

    def cut(mask: str) -> str:
        for head, tail in affixes:
            if mask.startswith(head) and mask.endswith(tail):
                inside = mask[len(head) : len(mask) - len(tail)]
                if inside in known:
                    return inside
        return mask

    return cut


def _start_in(mask: str, known: frozenset[str]) -> str | None:
    """Return the longest stem that a name begins with, up to a separator or its end."""
    starts = [start for start in (*_starts(mask), mask) if start in known]
    return max(starts, key=len, default=None)


def _stands_in(stem: str, mask: str) -> bool:
    """Tell whether a stem stands in the name of a mask as a whole: `1` does not stand in `a11`."""
    place = mask.find(stem)
    if place < 0:
        return False
    before, after = mask[:place][-1:], mask[place + len(stem) :][:1]
    return not (_is_same_kind(before, stem[0]) or _is_same_kind(stem[-1], after))


def _is_same_kind(one: str, other: str) -> bool:
    return (one.isdigit() and other.isdigit()) or (one.isalpha() and other.isalpha())


def _common_affixes(stems: Sequence[str]) -> Cut:
    """Return a function that cuts off the beginning and the end that all stems share.

    Digits at the cut belong to the number of the image, so they stay.
    """
    if len(stems) < 2:
        return str
    head = _common_start(stems)
    tail = _common_start([stem[::-1] for stem in stems])
    return lambda stem: stem[len(head) : len(stem) - len(tail)]


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)  # what these two share, all texts share
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same).rstrip("0123456789")
