"""The ways in which data sets lie in folders, as one table, tried from top to bottom.

A finder looks at one folder and returns what it found there, or None. The folder itself is tried
first, then those below it, two levels deep (`VOCdevkit/VOC2012`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import yaml

from maskzoo.models.errors import DataError
from maskzoo.training.data.find.index import (
    IMAGE_SUFFIXES,
    SPLIT_FOLDERS,
    SPLITS,
    FolderPair,
    Index,
    Pair,
    Split,
    list_files,
    masks_among,
    pair_folders,
    unique_stems,
)
from maskzoo.training.data.find.lists import absent_in_lists, find_lists
from maskzoo.training.data.masks.polygons import (
    CocoDocument,
    CocoPolygons,
    LabelmePolygons,
    YoloPolygons,
    coco_groups,
    read_coco,
)

IMAGE_FOLDERS = (
    *("images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "inputs", "input", "rgb"),
    *("photos", "pictures", "701_stillsraw_full", "camvid_rgb", "data"),
)
MASK_FOLDERS = (
    *("masks", "mask", "segmentationclass", "segmentationclassaug", "gtfine", "annotations"),
    *("annotation", "labels", "label", "gt", "ground_truth", "groundtruth", "segmentation"),
    *("labeledapproved_full", "camvid_label", "segmentations", "targets", "target", "ann", "seg"),
)
_MOST_FILES = 20_000  # that are looked at to say what a folder holds
_IS_NO_DATA = re.compile(r"\.|readme|licen[cs]e", re.IGNORECASE).match  # by a file's name
_ANNOT_TAILS = ("annot", "_annot", "_labels", "_label", "_masks", "_mask", "_gt")


def find_pairs(root: Path, images: str | None = None, masks: str | None = None) -> Index:
    """Find the image and mask files below `root`.

    Args:
        root: the folder.
        images, masks: folders below it, where they are told; with train, val, test in both.

    Raises:
        DataError: no layout fits; the message lists what was looked for and what is there.
    """
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is no folder; give the folder that holds images and masks")
    if images is not None and masks is not None:
        return _pair_told(root, images, masks)
    for base in _places(root):
        for finder in FINDERS:
            index = finder(base)
            if index is not None and index.pairs:
                if base == root:
                    return replace(index, root=root)
                note = f"found in {base.relative_to(root)}"
                return replace(index, root=root, base=base, notes=(note, *index.notes))
    raise DataError(_nothing_found(root))


def _pair_told(root: Path, images: str, masks: str) -> Index:
    ours, theirs = root / images, root / masks
    for folder in (ours, theirs):
        if not folder.is_dir():
            raise DataError(f"folder {str(folder)!r} of the description does not exist")
    first, second = _split_children(ours), _split_children(theirs)
    both = [split for split in SPLITS if split in first and split in second]
    folders: list[FolderPair] = [(first[split], second[split], split) for split in both]
    folders = folders or [(ours, theirs, None)]
    index = _first_form(root, "folders as described", folders)
    if index is None:
        raise DataError(f"no file in {str(ours)!r} has a mask in {str(theirs)!r}: names differ")
    return index


def _places(root: Path) -> Iterator[Path]:
    root = _unwrapped(root)
    yield root
    children = _subfolders(root)
    yield from children
    for child in children[:32]:
        yield from _subfolders(child)[:32]


def _unwrapped(root: Path) -> Path:
    """Return the one folder that an archive was unpacked to, where `root` holds nothing else."""
    children = _subfolders(root)
    names = {*IMAGE_FOLDERS, *MASK_FOLDERS, *SPLIT_FOLDERS}
    if len(children) != 1 or children[0].name.lower() in names:
        return root
    others = [path for path in root.iterdir() if path.is_file() and not _IS_NO_DATA(path.name)]
    return root if others else _unwrapped(children[0])


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        child
        for child in folder.iterdir()
        if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
    )


def _named(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the sub-folders whose lower-case name is in `names`, in the order of `names`."""
    children = {child.name.lower(): child for child in _subfolders(folder)}
    return [children[name] for name in names if name in children]


def _split_children(folder: Path) -> dict[Split, Path]:
    children = {child.name.lower(): child for child in _subfolders(folder)}
    return {split: children[name] for name, split in SPLIT_FOLDERS.items() if name in children}


def find_voc(root: Path) -> Index | None:
    """PASCAL VOC: `JPEGImages`, `SegmentationClass` and lists in `ImageSets/Segmentation`."""
    lists = root / "ImageSets" / "Segmentation"
    images = root / "JPEGImages"
    masks = next(iter(_named(root, ("segmentationclassaug", "segmentationclass"))), None)
    if masks is None or not images.is_dir() or not lists.is_dir():
        return None
    pairs: list[Pair] = []
    lonely: list[Path] = []
    for split in SPLITS:
        file = lists / f"{split}.txt"
        if not file.is_file():
            continue
        for stem in file.read_text(encoding="utf-8").split():
            image, mask = images / f"{stem}.jpg", masks / f"{stem}.png"
            if mask.is_file() and image.is_file():
                pairs.append(Pair(stem, image, mask, split))
            else:
                lonely.append(image if image.is_file() else mask)
    return Index(root, "PASCAL VOC", unique_stems(pairs), images_without_mask=tuple(lonely))


def find_folders(root: Path) -> Index | None:
    """Two folders, or one, with pictures or polygons of matching names."""
    for layout, finder in FOLDER_LAYOUTS.items():
        folders = finder(root)
        if folders:
            index = _first_form(root, _layout_name(layout, folders), folders)
            if index is not None:
                return index
    return None


def _layout_name(layout: str, folders: Sequence[FolderPair]) -> str:
    names = {part.lower() for images, masks, _ in folders for part in (*images.parts, *masks.parts)}
    if {"leftimg8bit", "gtfine"} <= names:
        return f"Cityscapes ({layout})"
    if {"annotations", "training"} <= names:
        return f"ADE20K ({layout})"
    if names & {"camvid_rgb", "701_stillsraw_full", "trainannot"}:
        return f"CamVid ({layout})"
    return layout


def _first_form(root: Path, layout: str, folders: Sequence[FolderPair]) -> Index | None:
    """Read the masks as pictures, or else as labelme, or else as YOLO."""
    index = pair_folders(root, layout, folders, IMAGE_SUFFIXES)
    if index.pairs:
        return index
    index = pair_folders(root, f"{layout}, labelme", folders, {".json"})
    if index.pairs:
        labelme = LabelmePolygons.of([pair.mask for pair in index.pairs])
        if labelme is not None:
            return replace(index, annotations=labelme)
    index = pair_folders(root, f"{layout}, YOLO", folders, {".txt"})
    if index.pairs:
        yolo = YoloPolygons.of([pair.mask for pair in index.pairs], _yolo_names(root))
        if yolo is not None:
            return replace(index, annotations=yolo)
    return None


def _yolo_names(root: Path) -> list[str]:
    """Return the names in YOLO's own data file or in classes.txt."""
    for file in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, dict):
            return [str(names[key]) for key in sorted(names)]
        if isinstance(names, list):
            return [str(name) for name in names]
    for path in (root / "classes.txt", root / "labels" / "classes.txt"):
        if path.is_file():
            return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line]
    return []


def find_coco(root: Path) -> Index | None:
    """COCO json files in the folder, in `annotations`, or in the folders of the splits."""
    places = [root, *_named(root, ("annotations", "annotation")), *_split_children(root).values()]
    files = sorted({file for place in places for file in place.glob("*.json")})
    contents = {file: content for file in files if (content := read_coco(file)) is not None}
    if not contents:
        return None
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in list_files(root):
        by_name[path.name].append(path)
    pairs: dict[Path, Pair] = {}
    lonely: list[Path] = []
    documents: list[CocoDocument] = []
    for file, content in contents.items():
        split = _split_in_name(file, root)
        images: dict[int, Path] = {}
        for row in content["images"]:
            name = str(row["file_name"])
            image = _coco_image(name, by_name[Path(name).name], file, root)
            if image is None:
                lonely.append(Path(name))
                continue
            images[int(row["id"])] = image
            pairs.setdefault(image, Pair(image.stem, image, file, split))
        documents.append(CocoDocument(content, images))
    return Index(
        root,
        f"COCO json ({', '.join(dict.fromkeys(file.name for file in contents))})",
        unique_stems(list(pairs.values())),
        masks_without_image=tuple(lonely),
        annotations=CocoPolygons.of(documents),
        notes=tuple(
            f"category {name!r} has no shape and is the name of a group: it is no class"
            for name in sorted(coco_groups(documents))
        ),
    )


def _coco_image(name: str, found: list[Path], file: Path, root: Path) -> Path | None:
    """Return the one of the files `found` that a COCO json, `file`, means by `name`.

    Of several it is the one with the folders that `name` tells, or beside the json, or in the
    folder of its split.

    Raises:
        DataError: several are as likely.
    """
    split = _split_in_name(file, root)
    narrower: tuple[Callable[[Path], bool], ...] = (
        lambda path: path.as_posix().endswith(f"/{name}"),
        lambda path: file.parent in path.parents,
        lambda path: _split_in_name(path.parent / "_", root) == split,
    )
    for is_meant in narrower:
        found = [path for path in found if is_meant(path)] or found
    if len(found) > 1:
        listed = " or ".join(str(path.relative_to(root)) for path in found[:3])
        raise DataError(
            f"{file.relative_to(root)} lists {name!r}, which may be {listed}: give `file_name` "
            "with the folder, or different names"
        )
    return found[0] if found else None


def _split_in_name(file: Path, root: Path) -> Split | None:
    """Return the split that a word of the file's name or of its folder below `root` says."""
    text = file.relative_to(root).with_suffix("").as_posix().lower()
    words = re.findall(r"[a-z]+(?:2017)?", text)
    return next((SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS), None)


def _folders_then_splits(root: Path) -> list[FolderPair]:
    for images in _named(root, IMAGE_FOLDERS):
        for masks in _named(root, MASK_FOLDERS):
            ours, theirs = _split_children(images), _split_children(masks)
            both = [split for split in SPLITS if split in ours and split in theirs]
            if both:
                return [(ours[split], theirs[split], split) for split in both]
    return []


def _splits_then_folders(root: Path) -> list[FolderPair]:
    found: list[FolderPair] = []
    for split, folder in _split_children(root).items():
        images, masks = _named(folder, IMAGE_FOLDERS), _named(folder, MASK_FOLDERS)
        if images and masks:
            found.append((images[0], masks[0], split))
    return found


def _annot_folders(root: Path) -> list[FolderPair]:
    children = {child.name.lower(): child for child in _subfolders(root)}
    return [
        (children[name], children[name + tail], split)
        for name, split in SPLIT_FOLDERS.items()
        for tail in _ANNOT_TAILS
        if name in children and name + tail in children
    ]


def _two_folders(root: Path) -> list[FolderPair]:
    images, masks = _named(root, IMAGE_FOLDERS), _named(root, MASK_FOLDERS)
    return [(images[0], masks[0], None)] if images and masks else []


def _one_folder(root: Path) -> list[FolderPair]:
    """Images and masks side by side, as `masks_among` tells them apart, or with json beside."""
    splits: list[FolderPair] = [
        (path, path, split) for split, path in _split_children(root).items()
    ]
    folders = splits or [(path, path, None) for path in [*_named(root, IMAGE_FOLDERS)[:1], root]]
    for folder, _, _ in folders:
        if masks_among(list_files(folder)) or next(folder.glob("*.json"), None) is not None:
            return splits or [(folder, folder, None)]
    return []


FOLDER_LAYOUTS: dict[str, Callable[[Path], list[FolderPair]]] = {
    "images/SPLIT + masks/SPLIT": _folders_then_splits,
    "SPLIT/images + SPLIT/masks": _splits_then_folders,
    "SPLIT + SPLITannot": _annot_folders,
    "images + masks": _two_folders,
    "images and masks in one folder": _one_folder,
}
FINDERS: tuple[Callable[[Path], Index | None], ...] = (
    find_voc,
    find_lists,
    find_folders,
    find_coco,
)


def _nothing_found(root: Path) -> str:
    if absent := absent_in_lists(root):
        return f"no images with masks found in {str(root)!r}: {absent}"
    return (
        f"no images with masks found in {str(root)!r}, which {_content(root)}; expected "
        "images/{train,val,test} + masks/{train,val,test}, or images + masks, with equal stems, "
        "or VOC, Cityscapes, ADE20K, CamVid, COCO json, YOLO or labelme polygons, or a CSV with "
        "the columns image and mask; or name the two folders in a dataset.yaml (images, masks)"
    )


def _content(root: Path) -> str:
    """Say what a folder holds, by the kinds of its files."""
    kinds = Counter(
        path.suffix.lower() for path in islice(root.rglob("*"), _MOST_FILES) if path.is_file()
    )
    if not kinds:
        return "holds no files"
    files = [f"{count} {suffix or 'without a suffix'}" for suffix, count in kinds.most_common(4)]
    folders = ", ".join(f"{child.name}/" for child in _subfolders(root)[:12]) or "none"
    lacks = ""
    if set(kinds) & IMAGE_SUFFIXES:
        lacks = "; images alone cannot be learnt from: each needs a mask"
    elif not set(kinds) & {".json", ".csv"}:
        lacks = "; none of them is an image"
    return f"holds files of the kinds {', '.join(files)} (folders: {folders}){lacks}"
