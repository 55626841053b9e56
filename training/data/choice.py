"""The choice among the readings of a folder: the one place where it is made.

Readings that agree are one. A list beside the data is a person's word and stands over what names
suggest. If several readings are left, the person is asked: `--masks NAME`, or a dataset.yaml.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskzoo.models.errors import UnknownNameError, ZooError
from maskzoo.models.images.decode import read_header
from maskzoo.training.data.files.listing import suffix_of
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.rawmask import CodeKind
from maskzoo.training.data.records.readings.choice import Choice, ChoiceError
from maskzoo.training.data.records.readings.index import FileIndex, LeftOut
from maskzoo.training.data.records.samples import SPLITS, Split

Content = dict[Path, tuple[tuple[object, ...], Split | None]]
_SHOWN = 6  # values of a sample's mask


def choose(readings: Sequence[FileIndex], masks: str | None = None) -> FileIndex:
    """Return the reading that is meant.

    Args:
        readings: all readings of a folder, at least one.
        masks: the name of the reading that a person chose; None where nobody did.

    Raises:
        ChoiceError: several readings differ, and nobody chose.
        UnknownNameError: no reading has the name `masks`.
    """
    distinct = merge(readings)
    if masks is not None:
        return _without_others(_named(distinct, masks), distinct, f"--masks {masks} was chosen")
    left = [reading for reading in distinct if reading.is_listed] or _without_renderings(distinct)
    if len(left) > 1:
        raise ChoiceError(left[0].root, [_choice(reading) for reading in left], left)
    return _without_others(left[0], distinct, "other masks of images that have these")


def _without_renderings(readings: Sequence[FileIndex]) -> list[FileIndex]:
    """Return the readings without those drawn from masks that others hold."""
    masks = [reading for reading in readings if not reading.rendering]
    images = {pair.image for reading in masks for pair in reading.pairs}
    return masks + [
        reading
        for reading in readings
        if reading.rendering and not any(pair.image in images for pair in reading.pairs)
    ]


def merge(readings: Sequence[FileIndex]) -> list[FileIndex]:
    """Return the readings without those that another one contains, with unique names.

    Of two with the same pairs the listed one stays, else the first.
    """
    kept: list[FileIndex] = []
    contents = {id(reading): _content(reading) for reading in readings}
    for reading in sorted(readings, key=lambda reading: not reading.is_listed):
        ours = contents[id(reading)]
        if any(_agrees(ours, contents[id(other)], other) for other in kept):
            continue
        kept = [
            other
            for other in kept
            if other.is_listed or not contents[id(other)].items() <= ours.items()
        ]
        kept.append(reading)
    for detail in (lambda reading: reading.layout, _kinds_of_files):
        taken = Counter(reading.origin.name for reading in kept)
        kept = [
            reading if taken[reading.origin.name] == 1 else _longer(reading, detail(reading))
            for reading in kept
        ]
    return kept


def _content(reading: FileIndex) -> Content:
    """Return what each image is paired with, and its split."""
    drawn_from: tuple[object, ...] = ()
    if reading.annotations is not None:
        drawn_from = (reading.annotations.storage, str(reading.origin.keys.get("annotations")))
    return {pair.image: ((pair.mask, *drawn_from), pair.split) for pair in reading.pairs}


def _agrees(ours: Content, theirs: Content, other: FileIndex) -> bool:
    """Tell whether a reading says nothing that `theirs` does not say, a list's choice included."""
    if other.is_listed:  # what it leaves out, it leaves out on purpose
        shared = ours.keys() & theirs.keys()
        return bool(shared) and all(ours[image][0] == theirs[image][0] for image in shared)
    return ours.items() <= theirs.items()


def _longer(reading: FileIndex, detail: str) -> FileIndex:
    """Return a reading with a detail in its name, where two have the same name."""
    name = f"{reading.origin.name} ({detail})"
    return replace(reading, origin=replace(reading.origin, name=name))


def _kinds_of_files(reading: FileIndex) -> str:
    """Return the suffixes of the images and masks of a reading."""
    images, masks = (
        " ".join(sorted({suffix_of(file) for file in files}))
        for files in ([p.image for p in reading.pairs], [p.mask for p in reading.pairs])
    )
    return f"{images} with {masks}"


def _named(readings: Sequence[FileIndex], masks: str) -> FileIndex:
    wanted = composed(masks).strip("/").casefold()
    for reading in readings:
        if composed(reading.origin.name).casefold() == wanted:
            return reading
    raise UnknownNameError("masks", masks, [reading.origin.name for reading in readings])


def _without_others(chosen: FileIndex, readings: Sequence[FileIndex], reason: str) -> FileIndex:
    """Return the chosen reading, with the files of the others named as left out."""
    taken = {file for pair in chosen.pairs for file in (pair.image, pair.mask)} | {*chosen.helpers}
    taken |= {*chosen.images_without_mask, *chosen.masks_without_image}
    left: dict[str, set[Path]] = defaultdict(set)
    for reading in sorted(readings, key=lambda reading: not reading.rendering):
        masks = {pair.mask for pair in reading.pairs} - taken
        left[reading.rendering or reason] |= masks
        taken |= masks
    images = {pair.image for reading in readings for pair in reading.pairs} - taken
    left["no list names it" if chosen.is_listed else "an image of another reading"] |= images
    new = tuple(LeftOut(why, tuple(sorted(files))) for why, files in left.items() if files)
    return replace(chosen, left_out=(*chosen.left_out, *new))


def _choice(reading: FileIndex) -> Choice:
    counts = Counter[str](pair.split or "undivided" for pair in reading.pairs)
    pair = reading.pairs[0]
    return Choice(
        reading.origin.name,
        reading.layout,
        {split: counts[split] for split in (*SPLITS, "undivided") if counts[split]},
        _below(pair.image, reading.root),
        _below(pair.mask, reading.root),
        _values(reading),
        reading.origin.yaml(),
    )


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _values(reading: FileIndex) -> str:
    """Return what the mask of the first sample holds, most frequent first."""
    pair = reading.pairs[0]
    try:
        info = read_header(pair.image)
        reader = MaskReader(reading.annotations)
        raw = reader.read(pair.image, pair.mask, (info.height, info.width), info.orientation)
    except (ZooError, OSError) as error:
        return f"cannot be read ({str(error).removeprefix(f'{pair.mask}: ')})"
    codes, counts = np.unique(raw.codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    names = None if reading.annotations is None else ("background", *reading.annotations.names)
    shown = [
        f"{_code_text(int(codes[place]), raw.kind, names)} "
        f"{format_percent(counts[place] / raw.codes.size, digits=3)}"
        for place in order
    ]
    return ", ".join(shown) + (f" and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else "")


def _code_text(code: int, kind: CodeKind, names: Sequence[str] | None) -> str:
    if names is not None and code < len(names):
        return names[code]
    return format_code(code, kind)
