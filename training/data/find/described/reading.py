"""The reading that a dataset.yaml describes: folders, patterns, or annotations of a format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from maskzoo.models.errors import DataError, SpecError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.beside import BESIDE
from maskzoo.training.data.find.described.patterns import (
    Joined,
    MaskPattern,
    is_pattern,
    join_patterns,
    match_pattern,
    words_of_splits,
)
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.joins.joined import OBJECT_NAME, JoinedMasks
from maskzoo.training.data.records.description import FILE_NAME, Description
from maskzoo.training.data.records.readings.account import lost_in, number_in
from maskzoo.training.data.records.readings.index import FileIndex, Origin, YamlValue
from maskzoo.training.data.records.samples import Pair, Split

FindOfFormat = Callable[[Listing, str], list[FileIndex]]
PairFolders = Callable[[Listing, Sequence[tuple[str, str]]], FileIndex | None]
_LAYOUT = f"as {FILE_NAME} says"


def is_described(description: Description) -> bool:
    """Tell whether a dataset.yaml says where the masks are."""
    return bool(description.images or description.masks or description.format)


def read_described(
    listing: Listing,
    description: Description,
    find_of_format: FindOfFormat,
    pair_folders: PairFolders,
) -> FileIndex:
    """Return the reading that a dataset.yaml describes.

    Args:
        listing: the files.
        description: with images and masks, or format and annotations.
        find_of_format: returns the readings of a format.
        pair_folders: pairs the files of folders that are named.

    Raises:
        DataError: a folder does not exist, or no image has a mask.
        SpecError: a pattern matches nothing.
        UnknownNameError: there is no such format.
    """
    if description.format is not None:
        index = _of_format(listing, description, find_of_format)
    elif any(map(is_pattern, _all_patterns(description))):
        index = _of_patterns(listing, description)
    else:
        index = _of_folders(listing, description, pair_folders)
    keys = description.model_dump(
        mode="json",
        include={"images", "masks", "unmasked", "format", "annotations"},
        exclude_defaults=True,
    )
    return replace(index, origin=Origin(FILE_NAME, {k: _single(v) for k, v in keys.items()}))


def _single(value: YamlValue) -> YamlValue:
    if isinstance(value, Mapping):
        return {key: _single(item) for key, item in value.items()}
    return value[0] if isinstance(value, Sequence) and len(value) == 1 else value


def _all_patterns(description: Description) -> list[str]:
    return [*description.images, *(mask.text for mask in _mask_patterns(description))]


def _mask_patterns(description: Description) -> list[MaskPattern]:
    masks = description.masks
    if not isinstance(masks, dict):
        return [MaskPattern(text) for text in masks]
    return [MaskPattern(text, label) for label, texts in masks.items() for text in texts]


def _of_folders(listing: Listing, description: Description, pair_folders: PairFolders) -> FileIndex:
    if isinstance(description.masks, dict) or len(description.images) != len(description.masks):
        raise SpecError(
            FILE_NAME,
            [
                "images and masks: folders are given in pairs; write patterns such as "
                '"masks/car/{stem}.png" for masks of several files'
            ],
        )
    folders = list(zip(description.images, description.masks, strict=True))
    for name in (name for pair in folders for name in pair):
        if not (listing.root / name).is_dir():
            raise DataError(
                f"folder {str(listing.root / name)!r} of the description does not exist; paths in "
                f"{FILE_NAME} are relative to its root"
            )
    index = pair_folders(listing, folders)
    if index is None:
        raise DataError(
            f"no image in {description.images[0]!r} has a mask in {description.masks[0]!r}; give "
            "both the same stem, or write patterns"
        )
    return index


def _of_patterns(listing: Listing, description: Description) -> FileIndex:
    splits = words_of_splits(description.splits.folders)
    patterns = _mask_patterns(description)
    found = join_patterns(listing, _as_patterns(description.images), patterns, splits)
    masked = [row for row in found if row.masks]
    if not masked:
        raise DataError(f"no image has a mask {_LAYOUT}; check the patterns")
    of_class = any(label for row in masked for label, _ in row.masks)
    is_joined = of_class or any(len(row.masks) > 1 for row in masked)
    kept = found if description.unmasked == "background" else masked
    rest = [row.image for row in found if row not in kept]
    used = {path for row in found for path in (row.image, *(mask for _, mask in row.masks))}
    return FileIndex(
        listing.root,
        f"patterns {_LAYOUT}",
        _pairs(listing, kept, splits),
        Origin(FILE_NAME),
        images_without_mask=tuple(rest),
        masks_without_image=tuple(_lone_masks(listing, patterns, splits, used)),
        annotations=_joined(kept, patterns) if is_joined else None,
    )


def _as_patterns(images: Sequence[str]) -> list[str]:
    """Return patterns; a folder stands for every file in it."""
    return [text if is_pattern(text) else f"{text.rstrip('/')}/{{stem}}.*" for text in images]


def _lone_masks(
    listing: Listing,
    patterns: Sequence[MaskPattern],
    splits: Mapping[str, Split],
    used: set[Path],
) -> list[Path]:
    found = {file.path for mask in patterns for file in match_pattern(listing, mask.text, splits)}
    return sorted(found - used)


def _pairs(
    listing: Listing, rows: Sequence[Joined], splits: Mapping[str, Split]
) -> tuple[Pair, ...]:
    """Return the pairs; the stem is what the placeholders of an image stand for."""
    pairs: list[Pair] = []
    for row in rows:
        split = splits.get(row.parts["split"].lower()) if "split" in row.parts else None
        folders = [text for name, text in row.parts.items() if name.startswith("folder")]
        name = composed(row.image.stem)
        is_alone = folders and ("stem" not in row.parts or folders[-1] == name)
        stem = "/".join(folders if is_alone else [*folders, name])
        mask = row.masks[0][1] if row.masks else row.image
        pairs.append(Pair(stem, row.image, mask, split))
    return unique_stems(pairs)


def _joined(rows: Sequence[Joined], patterns: Sequence[MaskPattern]) -> JoinedMasks:
    labels = list(dict.fromkeys(mask.label for mask in patterns if mask.label))
    seen = sorted({label for row in rows for label, _ in row.masks if label} - {*labels})
    names = [*labels, *seen] or [OBJECT_NAME]
    parts: dict[Path, list[tuple[int, Path]]] = defaultdict(list)
    for row in rows:
        for label, mask in row.masks:
            parts[row.image].append((names.index(label) if label else 0, mask))
    return JoinedMasks(tuple(names), dict(parts))


def _of_format(listing: Listing, description: Description, find: FindOfFormat) -> FileIndex:
    name = str(description.format)
    splits = words_of_splits(description.splits.folders)
    if any(row.name == name for row in BESIDE):
        return _of_files_beside(listing, description, splits)
    readings = find(listing, name)
    if len(readings) == 1 and not description.annotations:
        return readings[0]
    matched = [
        file for text in description.annotations for file in match_pattern(listing, text, splits)
    ]
    wanted = {listing.relative(file.path) for file in matched} or {
        text.removeprefix("./").strip("/") for text in description.annotations
    }
    said = {
        file.path: splits[file.parts["split"].lower()] for file in matched if "split" in file.parts
    }
    fitting = [index for index in readings if wanted and wanted == _documents_of(listing, index)]
    fitting.sort(key=lambda index: bool(said) != _has_patterns(index))
    if fitting:
        pairs = (replace(pair, split=said.get(pair.mask, pair.split)) for pair in fitting[0].pairs)
        return replace(fitting[0], pairs=tuple(pairs))
    raise DataError(
        f"no annotations of the format {name!r} with images in "
        f"{', '.join(description.annotations) or 'the folder'}; found: "
        + (", ".join(index.origin.name for index in readings) or "none")
    )


def _documents_of(listing: Listing, index: FileIndex) -> set[str]:
    """Return the files that a reading draws from: its documents, or what its yaml names."""
    if _has_patterns(index):
        return {listing.relative(pair.mask) for pair in index.pairs}
    return _annotations_of(index)


def _has_patterns(index: FileIndex) -> bool:
    """Tell whether the yaml of a reading says which split each document is."""
    return any(map(is_pattern, _annotations_of(index)))


def _annotations_of(index: FileIndex) -> set[str]:
    files = index.origin.keys.get("annotations", ())
    return {files} if isinstance(files, str) else {str(name) for name in files}


def _of_files_beside(
    listing: Listing, description: Description, splits: Mapping[str, Split]
) -> FileIndex:
    beside = next(row for row in BESIDE if row.name == description.format)
    patterns = [MaskPattern(text) for text in description.annotations]
    found = join_patterns(listing, _as_patterns(description.images), patterns, splits)
    rows = [row for row in found if row.masks]
    annotations = beside.read(listing, listing.root, [row.masks[0][1] for row in rows])
    lone = _lone_masks(listing, patterns, splits, {mask for row in rows for _, mask in row.masks})
    if not rows or annotations is None:
        raise DataError(
            f"no image has annotations of the format {description.format!r} {_LAYOUT}; check the "
            "patterns images and annotations"
        )
    return FileIndex(
        listing.root,
        f"{beside.title} {_LAYOUT}",
        _pairs(listing, rows, splits),
        Origin(FILE_NAME),
        images_without_mask=tuple(row.image for row in found if not row.masks),
        masks_without_image=tuple(path for path in lone if number_in(annotations, path)),
        annotations=annotations,
        lost=lost_in(annotations, lone),
    )
