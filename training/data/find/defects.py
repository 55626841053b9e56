"""Data sets of defects (MVTec AD): images of good parts have no mask, and hold background alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing, suffix_of
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.trees.records import Leaf, Row, Variant
from maskzoo.training.data.find.trees.templates import around, one_or_list
from maskzoo.training.data.joins.joined import JoinedMasks
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import Pair

_GOOD = frozenset({"good", "normal", "ok", "healthy", "no_defect", "defect_free"})
_CLASS = "defect"


def with_good_images(
    listing: Listing, leaves: Sequence[Leaf], variant: Variant, index: FileIndex
) -> FileIndex | None:
    """Return the reading in which images of good parts hold background; None where there are none.

    The published train split of such data holds no defect, so the reading draws its own splits.

    Args:
        listing: the files.
        leaves: all folders.
        variant: the masks of defects.
        index: their reading.
    """
    good = [leaf for leaf in leaves if leaf.parts and leaf.parts[-1].lower() in _GOOD]
    depths = {len(listing.relative(row.image).split("/")) for row in variant.rows}
    images = [
        path
        for leaf in good
        for path in leaf.files
        if suffix_of(path) in IMAGE_SUFFIXES and leaf.role != "mask"
    ]
    depths |= {len(listing.relative(path).split("/")) for path in images}
    if not images or len(depths) > 1 or min(depths) < 3 or variant.rendering:
        return None
    patterns = {_patterns(listing, row) for row in variant.rows}
    if None in patterns or len(patterns) != 1:
        return None
    ((image, mask),) = (pair for pair in patterns if pair is not None)
    suffixes = {path.suffix for path in images} | {row.image.suffix for row in variant.rows}
    origin = Origin(
        f"{variant.name} + good",
        {
            "images": one_or_list([f"{image}{suffix}" for suffix in sorted(suffixes)]),
            "masks": {_CLASS: mask},
            "unmasked": "background",
        },
    )
    pairs = [_pair(listing, row.image, row.masks[0]) for row in variant.rows]
    pairs += [_pair(listing, path, path) for path in images]
    return replace(
        index,
        layout=f"{index.layout}, good images as background",
        pairs=tuple(sorted(pairs, key=lambda pair: pair.stem)),
        origin=origin,
        annotations=JoinedMasks(
            (_CLASS,), {row.image: [(0, row.masks[0])] for row in variant.rows}
        ),
        notes=(
            f"{len(images)} images of good parts hold background alone; the published split has no "
            "defects in train and is not used",
        ),
    )


def _patterns(listing: Listing, row: Row) -> tuple[str, str] | None:
    """Return the patterns of image (without its suffix) and mask, by their last two folders."""
    *above, _, kind, _ = composed(listing.relative(row.image)).split("/")
    parts = composed(listing.relative(row.masks[0])).split("/")
    if kind not in parts[:-1] or not row.key or row.key != composed(row.image.stem):
        return None
    folders = ["{folder2}" if part == kind else part for part in parts[:-1]]
    head, tail = around(parts[-1], row.key)
    mask = "/".join([*folders, f"{head}{{stem}}{tail}"])
    return "/".join([*above, "{folder}", "{folder2}", "{stem}"]), mask


def _pair(listing: Listing, image: Path, mask: Path) -> Pair:
    *_, group, kind, _ = composed(listing.relative(image)).split("/")
    return Pair(f"{group}/{kind}/{composed(image.stem)}", image, mask, None)
