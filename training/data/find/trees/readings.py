"""Readings of a tree of folders: all ways in which its images may have masks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.trees.pairing import stem_of, unique_stems
from maskzoo.training.data.find.trees.records import Edge, Row, Variant
from maskzoo.training.data.find.trees.templates import around, folders_of, varying
from maskzoo.training.data.find.trees.words import is_known, rendering_of, words_of
from maskzoo.training.data.records.samples import Pair

_NUMBER = re.compile(r"[ _.-]\(?\d{1,3}\)?$")
_MOST_VARIANTS = 24  # kinds of masks for an image; more are objects
_FORMATS = frozenset({"png", "jpg", "jpeg", "tif", "tiff", "bmp"})  # names of folders
_OFTEN = 0.2  # a kind of mask that fewer of the images have is an object


def find_variants(edges: Sequence[Edge]) -> list[Variant]:
    """Return the ways in which images have masks; each image has one mask in a way, or objects."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for edge in edges:
        # The same data in two formats are two readings, and not parts of one.
        shared = frozenset(part for part in edge.shared if part.lower() not in _FORMATS)
        names = edge.images.name(shared), edge.masks.name(shared)
        groups[names] += [Row(edge, m.key, m.image, m.masks) for m in edge.matches]
    found = [v for names, rows in groups.items() for v in _by_mark(*names, rows)]
    return _joined_by_images(found)


def _by_mark(images: str, masks: str, rows: Sequence[Row]) -> Iterator[Variant]:
    """Yield the variants of one folder of masks: one for each kind of file, or one of objects."""
    is_within = any(row.edge.images is row.edge.masks for row in rows)
    if all(len(row.masks) == 1 for row in rows):
        marks = {_mark(row, row.masks[0]) for row in rows} if is_within else set()
        mark = marks.pop() if len(marks) == 1 else ""
        yield Variant(images, masks, mark, tuple(rows), _rendering(rows, mark))
        return
    by_mark: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for mask in row.masks:
            by_mark[_mark(row, mask)].append(replace(row, masks=(mask,)))
    if _are_numbered(by_mark, len(rows)):
        yield Variant(images, masks, "", tuple(rows), _rendering(rows, ""), are_objects=True)
        return
    often = {mark: r for mark, r in by_mark.items() if len(r) >= max(1, _OFTEN * len(rows))}
    covered = sum(map(len, often.values())) >= _MOST_KNOWN * sum(map(len, by_mark.values()))
    if len(often) > _MOST_VARIANTS or not covered or not _are_kinds(often, len(rows)):
        yield Variant(images, masks, "", tuple(rows), _rendering(rows, ""), are_objects=True)
        return
    is_mapped = any("labeltrainids" in mark.lower() for mark in often)
    for mark, those in by_mark.items():
        rendering = _rendering(those, mark)
        if is_mapped and "labelids" in mark.lower():
            rendering = "ids before they were mapped to those of training"
        yield Variant(images, masks, mark, tuple(those), rendering)


_MOST_KNOWN = 0.8


def _are_numbered(by_mark: Mapping[str, Sequence[Row]], num_images: int) -> bool:
    """Tell whether marks differ in the number behind them, and not all images have all of them.

    So are the objects of an image numbered: `1_mask`, `1_mask_1`. The masks that several people
    made are numbered too, but every image has each of them.
    """
    bare = {_NUMBER.sub("", mark.rpartition(".")[0]) for mark in by_mark}
    is_complete = all(len(rows) == num_images for rows in by_mark.values())
    return len(by_mark) > 1 and len(bare) == 1 and not is_complete


def _are_kinds(marks: Collection[str], num_images: int) -> bool:
    """Tell whether marks name kinds of masks and not objects: words, known ones for one image."""
    if len({mark.rpartition(".")[0] for mark in marks}) == 1:
        return True  # one mask in several formats
    words = [word for mark in marks for word in words_of(mark.rpartition(".")[0])]
    if num_images == 1:
        return any(is_known(word) for word in words)
    return any(letter.isalpha() for word in words for letter in word)


def _mark(row: Row, mask: Path) -> str:
    """Return what stands around the key in the name of a mask, as `*_1stHO.png`."""
    stem = stem_of(mask)
    if not row.key:
        return f"{stem}{mask.suffix}"
    head, tail = around(stem, row.key)
    return f"{head}*{tail}{mask.suffix}"


def _rendering(rows: Sequence[Row], mark: str) -> str:
    return rendering_of([mark.rpartition(".")[0], *reversed(rows[0].edge.masks.parts)])


def _joined_by_images(variants: Sequence[Variant]) -> list[Variant]:
    """Join variants of the same masks for different images: parts of one data set."""
    kept: list[Variant] = []
    for variant in variants:
        for place, other in enumerate(kept):
            is_alike = (variant.masks, variant.mark) == (other.masks, other.mark)
            if (
                is_alike
                and not variant.image_files & other.image_files
                and not (_mask_files(variant) & _mask_files(other))
            ):
                kept[place] = replace(other, rows=(*other.rows, *variant.rows))
                break
        else:
            kept.append(variant)
    return kept


def _mask_files(variant: Variant) -> frozenset[Path]:
    return frozenset(mask for row in variant.rows for mask in row.masks)


def pairs_of(variant: Variant) -> tuple[Pair, ...]:
    """Return the pairs of a variant; stems begin with the folders that differ among the images."""
    changing = frozenset(varying(variant.rows))
    pairs = [Pair(_stem(row, changing), row.image, row.masks[0], row.split) for row in variant.rows]
    return unique_stems(sorted(pairs, key=lambda pair: pair.stem))


def _stem(row: Row, changing: frozenset[str]) -> str:
    above = folders_of(row, changing)
    name = composed(row.image.stem)
    if above and (above[-1] == name or not row.key):  # the folder of one image
        return "/".join(above)
    return "/".join([*above, name])
