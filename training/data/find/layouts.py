"""The table of finders: each returns all readings that it knows of a folder.

Every finder is asked, for the folder itself and for those below it, two levels deep
(`VOCdevkit/VOC2012`). Which reading is meant is decided elsewhere.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from maskzoo.models.errors import DataError, UnknownNameError, counted
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing, suffix_of
from maskzoo.training.data.files.text import damage_of
from maskzoo.training.data.find.ade20k import find_ade20k
from maskzoo.training.data.find.annotated import (
    find_labelme_folders,
    find_listed,
    find_supervisely,
)
from maskzoo.training.data.find.beside import BESIDE
from maskzoo.training.data.find.coco import find_coco
from maskzoo.training.data.find.foreign import recognised
from maskzoo.training.data.find.listed.pairs import absent_in_lists, find_lists
from maskzoo.training.data.find.panoptic import find_panoptic
from maskzoo.training.data.find.trees.words import read_name
from maskzoo.training.data.find.voc import find_voc
from maskzoo.training.data.records.readings.index import FileIndex

_MOST_FOLDERS = 32  # searched in a folder
_NOT_DATA = re.compile(r"\.|readme|licen[cs]e", re.IGNORECASE)  # beginnings of file names

Finder = Callable[[Listing, Path], list[FileIndex]]


def find_readings(listing: Listing, find_folders: Finder) -> list[FileIndex]:
    """Return all readings of a folder, those of folders near the root first.

    Args:
        listing: the files.
        find_folders: the finder of folders with images and masks.

    Raises:
        DataError: no finder knows the folder; the message says what was expected and what is there.
    """
    places = list(_places(listing))
    readings = [index for finder in AT_PLACES for base in places for index in finder(listing, base)]
    readings += find_folders(listing, places[0])
    for finder in DOCUMENTS:
        readings += _nearest_of(listing, places, finder)
    readings = [_placed(index, listing) for index in readings]
    is_guess = all(_says_nothing(index) for index in readings)
    if readings and not (is_guess and absent_in_lists(listing, listing.root)):
        return _without_bare(readings)
    raise DataError(_nothing_found(listing))


def _without_bare(readings: list[FileIndex]) -> list[FileIndex]:
    """Return the readings from which masks can be drawn, with a note of the others, else all."""
    kept = [index for index in readings if not index.is_bare]
    notes = [
        f"{index.origin.name}: no annotation has an outline (boxes): not used as masks"
        for index in readings
        if index.is_bare
    ]
    return [replace(index, notes=(*index.notes, *notes)) for index in kept] or readings


def _says_nothing(index: FileIndex) -> bool:
    """Tell whether masks are masks by their looks alone: a list that fails is not passed over."""
    mask = index.pairs[0].mask
    below = mask.relative_to(index.root).parts if mask.is_relative_to(index.root) else mask.parts
    is_named = any(read_name(part).role is not None for part in below)
    return not (is_named or index.is_listed or index.annotations)


def _placed(index: FileIndex, listing: Listing) -> FileIndex:
    """Return a reading with the folder below the root that holds all of its files."""
    files = {path.parent for pair in index.pairs for path in (pair.image, pair.mask)}
    base = Path(os.path.commonpath(files))
    while read_name(base.name).role is not None and base != listing.root:
        base = base.parent
    index = replace(index, root=listing.root)
    if base == listing.root or not base.is_relative_to(listing.root):
        return index
    return replace(index, base=base, notes=(f"found in {listing.relative(base)}", *index.notes))


def find_of_format(listing: Listing, name: str) -> list[FileIndex]:
    """Return the readings of one of `FORMATS`.

    Raises:
        UnknownNameError: there is no such format.
    """
    finder = FORMATS.get(name)
    if finder is None:
        names = sorted({*FORMATS, *(row.name for row in BESIDE)})
        raise UnknownNameError("format", name, names)
    places = list(_places(listing))
    if finder in AT_PLACES:
        found = [index for base in places for index in finder(listing, base)]
    else:
        found = _nearest_of(listing, places, finder)
    return [_placed(index, listing) for index in found if index.origin.keys.get("format") == name]


def _nearest_of(listing: Listing, places: Iterable[Path], finder: Finder) -> list[FileIndex]:
    """Return the readings that a finder gives for the nearest folder where it gives any."""
    return next((found for base in places if (found := finder(listing, base))), [])


def _places(listing: Listing) -> Iterator[Path]:
    """Yield the folders to search, nearest first."""
    root = _unwrapped(listing, listing.root)
    yield root
    children = listing.folders(root)
    yield from children
    for child in children[:_MOST_FOLDERS]:
        yield from listing.folders(child)[:_MOST_FOLDERS]


def _unwrapped(listing: Listing, root: Path) -> Path:
    """Return the single folder that an archive leaves in `root`, if there is nothing else."""
    children = listing.folders(root)
    if len(children) != 1:
        return root
    said = read_name(children[0].name)
    if said.role is not None or said.split is not None:
        return root
    files = listing.files(root, None, deep=False)
    others = [path for path in files if not _NOT_DATA.match(path.name)]
    return root if others else _unwrapped(listing, children[0])


AT_PLACES: tuple[Finder, ...] = (find_voc, find_lists)
"""Finders of lists, which stand in the folder that they describe."""
DOCUMENTS: tuple[Finder, ...] = (
    find_coco,
    find_panoptic,
    find_listed,
    find_supervisely,
    find_labelme_folders,
    find_ade20k,
)
"""Finders of annotations, each asked for the folders near the root until it finds some."""
FORMATS: dict[str, Finder] = {
    "voc": find_voc,
    "list": find_lists,
    "coco": find_coco,
    "coco-panoptic": find_panoptic,
    "via": find_listed,
    "label-studio": find_listed,
    "cvat": find_listed,
    "supervisely": find_supervisely,
    "labelme-folders": find_labelme_folders,
    "ade20k": find_ade20k,
}
"""The finder of each name that `format` in dataset.yaml takes, beside those of `beside.BESIDE`."""


def _nothing_found(listing: Listing) -> str:
    """Return the message for a folder that no finder knows."""
    root = listing.root
    if absent := absent_in_lists(listing, root):
        return f"no images with masks found in {str(root)!r}: {absent}"
    for file in listing.files(suffixes={".json", ".xml"})[:_MOST_FOLDERS]:
        if damage := damage_of(file):
            return (
                f"no images with masks found in {str(root)!r}, and {listing.relative(file)} cannot "
                f"be read: {damage}; export it again if it holds the annotations"
            )
    if known := recognised(listing):
        return f"no images with masks found in {str(root)!r}: {known}"
    if unlike := _unlike_names(listing):
        return f"no images with masks found in {str(root)!r}: {unlike}"
    return (
        f"no images with masks found in {str(root)!r}, which {_content(listing)}; expected "
        "images/{train,val,test} + masks/{train,val,test}, or images + masks, with equal stems, "
        "or VOC, Cityscapes, ADE20K, CamVid, COCO json, YOLO or labelme polygons, or a CSV with "
        "the columns image and mask; or name the two folders in a dataset.yaml (keys images, masks)"
        f"{_nearest(listing)}"
    )


def _unlike_names(listing: Listing) -> str:
    """Return why folders of images and of masks do not pair; nothing where one of them is absent.

    Their names have nothing in common, or stand for several images, or for folders.
    """
    folders = Counter(path.parent for path in listing.files())
    largest: dict[str, Path] = {}
    for folder, _ in folders.most_common():
        below = folder.relative_to(listing.root).parts
        role = next((said for part in reversed(below) if (said := read_name(part).role)), None)
        largest.setdefault(role or "", folder)
    if not {"image", "mask"} <= largest.keys():
        return ""
    files = {role: listing.files(folder, deep=False) for role, folder in largest.items()}
    names = {role: listing.relative(largest[role]) for role in ("image", "mask")}
    example = {role: _pattern_of(names[role], files[role][0].suffix) for role in names}
    lines = f'\n  images: "{example["image"]}"\n  masks: "{example["mask"]}"'
    stems = Counter(path.stem for path in files["image"])
    twice = [path.name for path in files["image"] if stems[path.stem] > 1]
    if twice:
        return (
            f"{names['image']}/ holds {counted(len(twice), 'file')} whose names differ in the "
            f"suffix alone, such as {' and '.join(twice[:2])}; remove one of each, or write "
            f"the suffix that is meant into a dataset.yaml:{lines}"
        )
    if largest["mask"].name in stems:
        place = listing.relative(largest["mask"].parent)
        return (
            f"images in {names['image']}/ have a folder each in {place}/; if its files are a class "
            f'each, write into a dataset.yaml\n  images: "{example["image"]}"\n  masks: '
            f'"{place}/{{stem}}/{{class}}{files["mask"][0].suffix}"\nand if they are an object '
            "each, write * for {class}"
        )
    shown = {role: ", ".join(path.name for path in files[role][:2]) for role in names}
    return (
        f"the files in {names['image']}/ ({shown['image']} …) and in {names['mask']}/ "
        f"({shown['mask']} …) have no names in common; give each mask the name of its image, or "
        "write a CSV with the columns image and mask"
    )


def _pattern_of(folder: str, suffix: str) -> str:
    return f"{folder}/{{stem}}{suffix}"


def _nearest(listing: Listing) -> str:
    """Return the lines of a dataset.yaml for the folder with most images, to be completed."""
    folders = Counter(path.parent for path in listing.files())
    if not folders:
        return ""
    folder, _ = folders.most_common(1)[0]
    first = listing.files(folder, deep=False)[0]
    below = "" if folder == listing.root else f"{listing.relative(folder)}/"
    return (
        f', such as\n  images: "{below}{{stem}}{first.suffix}"\n'
        '  masks: "FOLDER/{stem}.png"  # write the folder and the names of the masks'
    )


def _content(listing: Listing) -> str:
    """Return what a folder holds, by the suffixes of its files, as a part of a sentence."""
    counts = Counter(suffix_of(path) for path in listing.all_files)
    if not counts:
        return "holds no files"
    files = ", ".join(
        counted(count, f"{suffix} file") if suffix else f"{counted(count, 'file')} without a suffix"
        for suffix, count in counts.most_common(4)
    )
    folders = ", ".join(f"{child.name}/" for child in listing.folders()[:12]) or "none"
    lack = ""
    if set(counts) & IMAGE_SUFFIXES:
        lack = "; a network cannot learn from images alone: each needs a mask"
    elif not set(counts) & {".json", ".csv"}:
        lack = "; none of them is an image"
    return f"holds {files} (folders: {folders}){lack}"
