"""Readings of folders with images and masks, or with annotations of the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing, suffix_of
from maskzoo.training.data.find.beside import BESIDE
from maskzoo.training.data.find.defects import with_good_images
from maskzoo.training.data.find.trees.divisions import divided
from maskzoo.training.data.find.trees.edges import find_edges
from maskzoo.training.data.find.trees.joining import class_names, join, siblings
from maskzoo.training.data.find.trees.leaves import find_leaves
from maskzoo.training.data.find.trees.pairing import divide, unique_stems
from maskzoo.training.data.find.trees.readings import find_variants, pairs_of
from maskzoo.training.data.find.trees.records import Leaf, Row, Variant
from maskzoo.training.data.find.trees.templates import keys_of, one_or_list, patterns_of
from maskzoo.training.data.joins.joined import OBJECT_NAME, JoinedMasks
from maskzoo.training.data.masks.stored.arrays import ARRAY_SUFFIXES
from maskzoo.training.data.records.readings.account import lost_in, number_in
from maskzoo.training.data.records.readings.index import FileIndex, Origin, YamlValue
from maskzoo.training.data.shapes.yolo import YoloPolygons

_CLASS_LIST = "classes.txt"  # of YOLO, among the files of labels


def find_folders(listing: Listing, root: Path) -> list[FileIndex]:
    """Return the readings of all folders below `root`."""
    return _readings(listing, root, find_leaves(listing, root))


def _readings(listing: Listing, root: Path, leaves: Sequence[Leaf]) -> list[FileIndex]:
    variants = divided(find_variants(find_edges(leaves, IMAGE_SUFFIXES)))
    variants += divided(find_variants(find_edges(leaves, ARRAY_SUFFIXES)))
    groups = siblings(variants)
    found = [_joined(listing, group) for group in groups]
    found += [
        _of_objects(listing, variant) if variant.are_objects else _of_files(listing, variant)
        for variant in variants
    ]
    for variant in variants:
        good = with_good_images(listing, leaves, variant, _index(listing, variant.rows, variant))
        found += [] if good is None else [good]
    for format_ in BESIDE:
        for variant in divided(find_variants(find_edges(leaves, {format_.suffix}))):
            files = [row.masks[0] for row in variant.rows]
            annotations = format_.read(listing, root, files)
            if annotations is not None:
                index = _index(listing, variant.rows, variant, f", {format_.title}")
                images, files_ = index.origin.keys["images"], index.origin.keys["masks"]
                keys = {"format": format_.name, "images": images, "annotations": files_}
                keys |= {k: v for k, v in index.origin.keys.items() if k == "splits"}
                origin = replace(index.origin, keys=keys)
                is_bare = isinstance(annotations, YoloPolygons) and annotations.is_bare
                lone = _lone_files(leaves, {path.parent for path in files}, format_.suffix, files)
                found.append(
                    replace(
                        index,
                        annotations=annotations,
                        origin=origin,
                        is_bare=is_bare,
                        masks_without_image=tuple(p for p in lone if number_in(annotations, p)),
                        lost=lost_in(annotations, lone),
                    )
                )
    masks = chain.from_iterable(row.masks for variant in variants for row in variant.rows)
    taken = frozenset((*masks, *(pair.mask for index in found for pair in index.pairs)))
    return [_with_unpaired(leaves, index, taken) for index in found]


def pair_folders(listing: Listing, folders: Sequence[tuple[str, str]]) -> FileIndex | None:
    """Return the reading of folders that a person names, None where no image has a mask.

    Args:
        listing: the files.
        folders: pairs of a folder of images and one of masks, below the root.
    """
    found: list[FileIndex] = []
    for images, masks in folders:
        ours = find_leaves(listing, listing.root / images, role="image")
        theirs = ours if images == masks else find_leaves(listing, listing.root / masks, "mask")
        leaves = ours if images == masks else [*ours, *theirs]
        found += _readings(listing, listing.root, leaves)
    best = [index for index in found if not index.rendering] or found
    if len(best) > 1 and len(folders) == 1:
        raise DataError(
            f"the masks in {folders[0][1]!r} can be read in {len(best)} ways: "
            f"{', '.join(index.origin.name for index in best)}; write patterns instead of folders:"
            + "".join(f"\n{index.origin.yaml()}" for index in best)
        )
    if not best:
        return None
    pairs = tuple(pair for index in best for pair in index.pairs)
    return replace(best[0], pairs=unique_stems(pairs))


def _of_files(listing: Listing, variant: Variant) -> FileIndex:
    index = _index(listing, variant.rows, variant)
    return replace(index, rendering=variant.rendering)


def _of_objects(listing: Listing, variant: Variant) -> FileIndex:
    """Return the reading of masks with one file for each object."""
    images, masks = patterns_of(variant.rows, listing.root, objects=True)
    count = sum(len(row.masks) for row in variant.rows)
    note = f"{count} mask files hold one object each: those of an image are joined"
    return replace(
        _index(listing, variant.rows, variant),
        origin=Origin(variant.name, keys_of(variant, images, one_or_list(masks))),
        annotations=join([variant], [OBJECT_NAME]),
        rendering=variant.rendering,
        notes=(*variant.notes, note),
    )


def _joined(listing: Listing, group: Sequence[Variant]) -> FileIndex:
    """Return the reading that joins variants, each of which is a class."""
    names = class_names(group)
    masks: dict[str, YamlValue] = {}
    images: list[str] = []
    for variant, name in zip(group, names, strict=True):
        ours, theirs = patterns_of(variant.rows, listing.root)
        images += ours
        masks[name] = one_or_list(theirs)
    rows: dict[Path, Row] = {}
    for row in chain.from_iterable(variant.rows for variant in group):
        rows.setdefault(row.image, row)
    index = _index(listing, list(rows.values()), group[0])
    return replace(
        index,
        layout=f"{index.layout.partition(' + ')[0]} + {len(names)} mask files joined",
        origin=Origin(_join_name(group[0]), keys_of(group[0], list(dict.fromkeys(images)), masks)),
        annotations=join(group, names),
        notes=(
            *group[0].notes,
            f"mask files are joined, one for each class: {', '.join(names)}",
        ),
    )


def _index(listing: Listing, rows: Sequence[Row], variant: Variant, kind: str = "") -> FileIndex:
    images, masks = patterns_of(rows, listing.root)
    return FileIndex(
        listing.root,
        f"{_layout_name(variant)}{kind}",
        pairs_of(replace(variant, rows=tuple(rows))),
        Origin(variant.name, keys_of(variant, images, one_or_list(masks))),
        notes=variant.notes,
    )


def _join_name(variant: Variant) -> str:
    return f"join ({variant.division})" if variant.division else "join"


def _lone_files(
    leaves: Sequence[Leaf], folders: set[Path], suffix: str, taken: Sequence[Path]
) -> list[Path]:
    """Return the files of a suffix in some folders that are not among those taken."""
    known = set(taken)
    return [
        path
        for leaf in leaves
        if leaf.folder in folders
        for path in leaf.files
        if suffix_of(path) == suffix and path not in known and path.name != _CLASS_LIST
    ]


def _layout_name(variant: Variant) -> str:
    """Return the folders, with the name of the data set that they give away."""
    images = variant.images or "images"
    layout = f"{images} + {variant.name}"
    if variant.rows[0].edge.images is variant.rows[0].edge.masks:
        layout = "images and masks in one folder"
    edge = variant.rows[0].edge
    names = {part.lower() for leaf in (edge.images, edge.masks) for part in leaf.parts}
    if {"leftimg8bit", "gtfine"} <= names:
        return f"Cityscapes ({layout})"
    if {"annotations", "training"} <= names:
        return f"ADE20K ({layout})"
    if names & {"camvid_rgb", "701_stillsraw_full", "trainannot"}:
        return f"CamVid ({layout})"
    return layout


def _with_unpaired(leaves: Sequence[Leaf], index: FileIndex, taken: frozenset[Path]) -> FileIndex:
    """Return a reading with the files of its folders that have no partner.

    Args:
        leaves: all folders.
        index: the reading.
        taken: the masks of all readings.
    """
    suffixes = IMAGE_SUFFIXES | {suffix_of(pair.mask) for pair in index.pairs}
    images = {pair.image for pair in index.pairs}
    image_folders = {path.parent for path in images}
    masks_of = index.annotations.files if isinstance(index.annotations, JoinedMasks) else None
    used = [
        path
        for pair in index.pairs
        for path in ((pair.mask,) if masks_of is None else masks_of(pair.image))
    ]
    mask_folders = {path.parent for path in used}
    lone_images: list[Path] = []
    lone_masks: list[Path] = []
    for leaf in leaves:
        files = [
            path for path in leaf.files if suffix_of(path) in suffixes and path.name != _CLASS_LIST
        ]
        lone = [path for path in files if path not in images and path not in taken]
        pictures = [path for path in lone if suffix_of(path) in IMAGE_SUFFIXES]
        if leaf.folder in image_folders:
            masks = set(divide(files)[1]) if leaf.folder in mask_folders else set()
            lone_images += [path for path in pictures if path not in masks]
            lone_masks += [path for path in lone if path in masks]
        elif leaf.folder in mask_folders:
            lone_masks += lone
        elif leaf.role == "image" or (leaf.role is None and leaf.split is not None):
            lone_images += pictures
    others = [path for path in index.masks_without_image if path not in lone_masks]
    return replace(
        index,
        images_without_mask=tuple(lone_images),
        masks_without_image=(*lone_masks, *others),
    )
