"""Search for folders of images and of masks, with or without folders for the splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from maskzoo.training.data.find.files import (
    IMAGE_SUFFIXES,
    list_files,
    named_folders,
    split_folders,
    subfolders,
)
from maskzoo.training.data.find.pairing import FolderPair, masks_among, pair_folders
from maskzoo.training.data.records.index import FileIndex
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, SPLITS
from maskzoo.training.data.shapes.labelme import LabelmePolygons
from maskzoo.training.data.shapes.yolo import YoloPolygons

# In the order in which they are preferred, where a folder has several of them.
IMAGE_FOLDERS = (
    "images",
    "image",
    "imgs",
    "img",
    "jpegimages",
    "leftimg8bit",
    "inputs",
    "input",
    "rgb",
    "photos",
    "pictures",
    "701_stillsraw_full",
    "camvid_rgb",
    "data",
)
MASK_FOLDERS = (
    "masks",
    "mask",
    "segmentationclass",
    "segmentationclassaug",
    "gtfine",
    "annotations",
    "annotation",
    "labels",
    "label",
    "gt",
    "ground_truth",
    "groundtruth",
    "segmentation",
    "labeledapproved_full",
    "camvid_label",
    "segmentations",
    "targets",
    "target",
    "ann",
    "seg",
)
_ANNOT_TAILS = ("annot", "_annot", "_labels", "_label", "_masks", "_mask", "_gt")


def find_folders(root: Path) -> FileIndex | None:
    """Find folders with images and with masks or annotations of matching names."""
    for layout, finder in FOLDER_LAYOUTS.items():
        folders = finder(root)
        if folders:
            index = read_folders(root, _layout_name(layout, folders), folders)
            if index is not None:
                return index
    return None


def _layout_name(layout: str, folders: Sequence[FolderPair]) -> str:
    """Return the layout with the name of the data set that its folders give away."""
    names = {part.lower() for images, masks, _ in folders for part in (*images.parts, *masks.parts)}
    if {"leftimg8bit", "gtfine"} <= names:
        return f"Cityscapes ({layout})"
    if {"annotations", "training"} <= names:
        return f"ADE20K ({layout})"
    if names & {"camvid_rgb", "701_stillsraw_full", "trainannot"}:
        return f"CamVid ({layout})"
    return layout


def read_folders(root: Path, layout: str, folders: Sequence[FolderPair]) -> FileIndex | None:
    """Pair the files of folders; masks are images, or else labelme's json, or else YOLO's text."""
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
    """Return the names of classes in YOLO's data file or in classes.txt."""
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


def _folders_then_splits(root: Path) -> list[FolderPair]:
    for images in named_folders(root, IMAGE_FOLDERS):
        for masks in named_folders(root, MASK_FOLDERS):
            ours, theirs = split_folders(images), split_folders(masks)
            both = [split for split in SPLITS if split in ours and split in theirs]
            if both:
                return [(ours[split], theirs[split], split) for split in both]
    return []


def _splits_then_folders(root: Path) -> list[FolderPair]:
    found: list[FolderPair] = []
    for split, folder in split_folders(root).items():
        images, masks = named_folders(folder, IMAGE_FOLDERS), named_folders(folder, MASK_FOLDERS)
        if images and masks:
            found.append((images[0], masks[0], split))
    return found


def _annot_folders(root: Path) -> list[FolderPair]:
    children = {child.name.lower(): child for child in subfolders(root)}
    return [
        (children[name], children[name + tail], split)
        for name, split in SPLIT_FOLDERS.items()
        for tail in _ANNOT_TAILS
        if name in children and name + tail in children
    ]


def _two_folders(root: Path) -> list[FolderPair]:
    images, masks = named_folders(root, IMAGE_FOLDERS), named_folders(root, MASK_FOLDERS)
    return [(images[0], masks[0], None)] if images and masks else []


def _one_folder(root: Path) -> list[FolderPair]:
    """Return folders that hold images and masks side by side, or images and json."""
    splits: list[FolderPair] = [(path, path, split) for split, path in split_folders(root).items()]
    folders = splits or [
        (path, path, None) for path in [*named_folders(root, IMAGE_FOLDERS)[:1], root]
    ]
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
