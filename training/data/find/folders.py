"""Search for folders of images and of masks, with or without folders for the splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing
from maskzoo.training.data.files.text import read_text, read_yaml
from maskzoo.training.data.find.pairing import FolderPair, masks_among, pair_folders
from maskzoo.training.data.find.words import split_folders
from maskzoo.training.data.records.readings.index import FileIndex
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


def find_folders(listing: Listing, root: Path) -> list[FileIndex]:
    """Find folders with images and with masks or annotations of matching names."""
    for layout, finder in FOLDER_LAYOUTS.items():
        folders = finder(listing, root)
        if folders:
            index = read_folders(listing, root, _layout_name(layout, folders), folders)
            if index is not None:
                return [index]
    return []


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


def read_folders(
    listing: Listing, root: Path, layout: str, folders: Sequence[FolderPair]
) -> FileIndex | None:
    """Pair the files of folders; masks are images, or else labelme's json, or else YOLO's text."""
    index = pair_folders(listing, layout, folders, IMAGE_SUFFIXES)
    if index.pairs:
        return index
    index = pair_folders(listing, f"{layout}, labelme", folders, {".json"})
    if index.pairs:
        labelme = LabelmePolygons.of([pair.mask for pair in index.pairs])
        if labelme is not None:
            return replace(index, annotations=labelme)
    index = pair_folders(listing, f"{layout}, YOLO", folders, {".txt"})
    if index.pairs:
        yolo = YoloPolygons.of([pair.mask for pair in index.pairs], _yolo_names(listing, root))
        if yolo is not None:
            return replace(index, annotations=yolo, is_bare=yolo.is_bare)
    return None


def _yolo_names(listing: Listing, root: Path) -> list[str]:
    """Return the names of classes in YOLO's data file or in classes.txt."""
    for file in listing.files(root, {".yaml", ".yml"}, deep=False):
        content = read_yaml(file)
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, dict):
            return [str(names[key]) for key in sorted(names)]
        if isinstance(names, list):
            return [str(name) for name in names]
    for path in (root / "classes.txt", root / "labels" / "classes.txt"):
        if path.is_file():
            return [line.strip() for line in read_text(path).splitlines() if line]
    return []


def _folders_then_splits(listing: Listing, root: Path) -> list[FolderPair]:
    for images in listing.named(root, IMAGE_FOLDERS):
        for masks in listing.named(root, MASK_FOLDERS):
            ours, theirs = split_folders(listing, images), split_folders(listing, masks)
            both = [split for split in SPLITS if split in ours and split in theirs]
            if both:
                return [(ours[split], theirs[split], split) for split in both]
    return []


def _splits_then_folders(listing: Listing, root: Path) -> list[FolderPair]:
    found: list[FolderPair] = []
    for split, folder in split_folders(listing, root).items():
        images, masks = listing.named(folder, IMAGE_FOLDERS), listing.named(folder, MASK_FOLDERS)
        if images and masks:
            found.append((images[0], masks[0], split))
    return found


def _annot_folders(listing: Listing, root: Path) -> list[FolderPair]:
    children = {child.name.lower(): child for child in listing.folders(root)}
    return [
        (children[name], children[name + tail], split)
        for name, split in SPLIT_FOLDERS.items()
        for tail in _ANNOT_TAILS
        if name in children and name + tail in children
    ]


def _two_folders(listing: Listing, root: Path) -> list[FolderPair]:
    images, masks = listing.named(root, IMAGE_FOLDERS), listing.named(root, MASK_FOLDERS)
    return [(images[0], masks[0], None)] if images and masks else []


def _one_folder(listing: Listing, root: Path) -> list[FolderPair]:
    """Return folders that hold images and masks side by side, or images and json."""
    splits: list[FolderPair] = [
        (path, path, split) for split, path in split_folders(listing, root).items()
    ]
    folders = splits or [
        (path, path, None) for path in [*listing.named(root, IMAGE_FOLDERS)[:1], root]
    ]
    for folder, _, _ in folders:
        if masks_among(listing.files(folder)) or listing.files(folder, {".json"}, deep=False):
            return splits or [(folder, folder, None)]
    return []


FOLDER_LAYOUTS: dict[str, Callable[[Listing, Path], list[FolderPair]]] = {
    "images/SPLIT + masks/SPLIT": _folders_then_splits,
    "SPLIT/images + SPLIT/masks": _splits_then_folders,
    "SPLIT + SPLITannot": _annot_folders,
    "images + masks": _two_folders,
    "images and masks in one folder": _one_folder,
}
