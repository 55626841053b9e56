"""Joins: the masks of an image that are several files, as one reading.

Folders or marks that differ in one word (`masks/car` and `masks/road`, `leftMask` and `rightMask`)
and hold two values each may be one class each, to be joined. Masks of the same object by several
people overlap, and are no classes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from maskzoo.models.errors import DataError
from maskzoo.training.data.find.trees.records import Variant
from maskzoo.training.data.find.trees.words import read_name, words_of
from maskzoo.training.data.joins.joined import JoinedMasks, read_part

_PEOPLE = re.compile(
    r"ho|obs|(?:observer|annotator|expert|rater|grader|reader|doctor|physician|radiologist|reviewer"
    r"|labell?er|person|human|user)s?"
)
_ORDINAL = re.compile(r"1st|2nd|3rd|[4-9]th|first|second|third|fourth")
_ASKED = 3  # images whose masks are read
_SAME = 0.5  # fraction of the smaller mask that lies in the other where both are of one object


def siblings(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Return groups of variants of the same images that may be one class each."""
    groups: dict[tuple[object, ...], list[Variant]] = defaultdict(list)
    for variant in variants:
        if not variant.rendering and not variant.are_objects:
            groups[variant.images, variant.division, *_family(variant)].append(variant)
    found = [group for group in groups.values() if len(group) > 1]
    found = [group for group in found if len({variant.name for variant in group}) == len(group)]
    return [group for group in found if not are_annotators(group) and are_classes(group)]


def are_annotators(variants: Sequence[Variant]) -> bool:
    """Tell whether names say that several people made the masks: `1stHO`, `expert_2`, `rater-a`."""
    texts = [variant.mark.rpartition(".")[0] or variant.masks for variant in variants]
    if all(any(map(_PEOPLE.fullmatch, words_of(text))) for text in texts):
        return True
    return all(_ORDINAL.fullmatch(name) for name in class_names(variants))


def _family(variant: Variant) -> tuple[object, ...]:
    """Return what the names of folders and marks of one class each have in common."""
    *above, last = variant.masks.split("/")
    said = read_name(last)
    if variant.mark:
        return variant.masks, _suffix(variant.mark)
    if said.role is None and above:  # masks/car
        return ("/".join(above), "folders")
    if said.rest:  # leftMask, masks_car
        kept = tuple(word for word in words_of(last) if word not in said.rest)
        return ("/".join(above), kept)
    return (variant.masks, "alone")


def _suffix(mark: str) -> str:
    return mark.rpartition(".")[2]


def are_classes(variants: Sequence[Variant]) -> bool:
    """Tell whether the masks of several variants hold two values each and lie beside each other."""
    by_image: dict[Path, list[Path]] = defaultdict(list)
    for variant in variants:
        for row in variant.rows:
            by_image[row.image].append(row.masks[0])
    overlaps: list[float] = []
    for image in sorted(by_image, key=lambda image: (-len(by_image[image]), image))[:_ASKED]:
        try:
            parts = [read_part(path) for path in by_image[image]]
        except DataError:
            return False
        overlaps += [_overlap(one, other) for one, other in combinations(parts, 2)]
    return not overlaps or float(np.median(overlaps)) <= _SAME


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the fraction of the smaller part that lies in the other one."""
    if one.shape != other.shape:
        return 0.0
    smaller = min(int(one.sum()), int(other.sum()))
    return float((one & other).sum()) / smaller if smaller else 0.0


def class_names(variants: Sequence[Variant]) -> list[str]:
    """Return a name of a class for each variant: the words in which they differ."""
    texts = [variant.mark.rpartition(".")[0] or variant.masks for variant in variants]
    words = [words_of(text) for text in texts]
    common = frozenset.intersection(*map(frozenset, words))
    names = ["_".join(word for word in row if word not in common) for row in words]
    return names if all(names) and len(set(names)) == len(names) else texts


def join(variants: Sequence[Variant], names: Sequence[str]) -> JoinedMasks:
    """Return the masks of several variants as one, each variant a class."""
    parts: dict[Path, list[tuple[int, Path]]] = defaultdict(list)
    for label, variant in enumerate(variants):
        for row in variant.rows:
            parts[row.image] += [(label, mask) for mask in row.masks]
    one_each = any(variant.are_objects for variant in variants)
    storage = "one mask file an object" if one_each else "one mask file a class"
    return JoinedMasks(tuple(names), dict(parts), storage)
