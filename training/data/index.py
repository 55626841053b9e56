"""Find images, their masks and their splits in a folder.

The result is a flat list of samples; nothing is opened here, only names are read. A layout is a
row of `LAYOUTS`: where the images lie, where the masks lie, and whether the split is a part of the
path. Within a pair of folders a mask belongs to the image of the same stem, after well-known
affixes (`_mask`, `_leftImg8bit`, `img_` …) are taken off; if that finds nothing, the affix that
most masks share is worked out from the names.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from models.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
POLYGON_SUFFIXES = frozenset({".json", ".txt"})

IMAGE_FOLDERS = (
    *("images", "image", "imgs", "img", "jpegimages", "leftimg8bit", "inputs", "input", "rgb"),
    *("photos", "pictures", "701_stillsraw_full", "camvid_rgb", "data"),
)
MASK_FOLDERS = (
    *("masks", "mask", "segmentationclass", "segmentationclassaug", "gtfine", "annotations"),
    *("annotation", "labels", "label", "gt", "ground_truth", "groundtruth", "segmentation"),
    *("labeledapproved_full", "camvid_label", "segmentations", "targets", "target", "ann", "seg"),
)
SPLIT_FOLDERS: dict[str, Split] = {
    **{"train": "train", "training": "train", "trn": "train"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val"},
    **{"test": "test", "testing": "test", "tst": "test"},
}

_AFFIXES = (
    *("leftimg8bit", "gtfine_labeltrainids", "gtfine_labelids", "labeltrainids", "labelids"),
    *("segmentation", "groundtruth", "ground_truth", "images", "image", "imgs", "img", "masks"),
    *("mask", "labels", "label", "annotation", "annot", "gt", "seg", "sat", "rgb", "bw", "l"),
)
_AFFIX = "|".join(_AFFIXES)
_PREFIX_PATTERN = re.compile(rf"^(?:{_AFFIX})[ _.-]+", re.IGNORECASE)
_SUFFIX_PATTERN = re.compile(rf"[ _.-]+(?:{_AFFIX})$", re.IGNORECASE)
# Of several masks for one image the first of these is taken; files that match the last are none.
_MASK_PREFERENCE = (re.compile("labeltrainids", re.I), re.compile("labelids", re.I))
_NOT_A_MASK = re.compile(r"_gtfine_(color|instanceids|polygons)$", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """One image with the file that holds its mask.

    Args:
        stem: name that is unique in the data set, with the folders below the split.
        image, mask: the two files.
        split: where it is used.
    """

    stem: str
    image: Path
    mask: Path
    split: Split


@dataclass(frozen=True)
class Pair:
    """An image and its mask before a split is settled (`split` is None where none is given)."""

    stem: str
    image: Path
    mask: Path
    split: Split | None


@dataclass(frozen=True)
class Index:
    """What was found in a folder.

    Args:
        root: the folder.
        layout: name of the layout, for people.
        pairs: images with masks.
        images_without_mask, masks_without_image: orphans.
        ambiguous: masks that were left out since another one was taken for the same image.
    """

    root: Path
    layout: str
    pairs: tuple[Pair, ...]
    images_without_mask: tuple[Path, ...] = ()
    masks_without_image: tuple[Path, ...] = ()
    ambiguous: tuple[Path, ...] = ()
    notes: tuple[str, ...] = field(default=())


FolderPair = tuple[Path, Path, Split | None]


def find_pairs(root: Path, images: str | None = None, masks: str | None = None) -> Index:
    """Find the image and mask files below `root`.

    Args:
        root: the folder.
        images, masks: folders below it, where they are told; with folders train, val, test in both.

    Raises:
        DataError: no layout fits; the message lists what was looked for and what is there.
    """
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is no folder; give the folder that holds images and masks")
    if images is not None and masks is not None:
        return _pair_told(root, images, masks)
    for base in (root, *_subfolders(root)):
        for name, finder in LAYOUTS.items():
            found = finder(base)
            if not found:
                continue
            index = _pair_folders(root, name, found)
            if index.pairs:
                return index
    raise DataError(_nothing_found(root))


def _pair_told(root: Path, images: str, masks: str) -> Index:
    ours, theirs = root / images, root / masks
    for folder in (ours, theirs):
        if not folder.is_dir():
            raise DataError(f"folder {str(folder)!r} of the description does not exist")
    first, second = _split_children(ours), _split_children(theirs)
    both = [split for split in SPLITS if split in first and split in second]
    folders: list[FolderPair] = [(first[split], second[split], split) for split in both]
    index = _pair_folders(root, "folders as described", folders or [(ours, theirs, None)])
    if not index.pairs:
        raise DataError(f"no file in {str(ours)!r} has a mask in {str(theirs)!r}: names differ")
    return index


def _subfolders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir())


def _named(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the sub-folders whose lower-case name is in `names`, in the order of `names`."""
    children = {child.name.lower(): child for child in _subfolders(folder)}
    return [children[name] for name in names if name in children]


def _split_children(folder: Path) -> dict[Split, Path]:
    children = {child.name.lower(): child for child in _subfolders(folder)}
    return {split: children[name] for name, split in SPLIT_FOLDERS.items() if name in children}


def _folders_then_splits(root: Path) -> list[FolderPair]:
    """`images/train` and `masks/train`."""
    for images in _named(root, IMAGE_FOLDERS):
        for masks in _named(root, MASK_FOLDERS):
            ours, theirs = _split_children(images), _split_children(masks)
            both = [split for split in SPLITS if split in ours and split in theirs]
            if both:
                return [(ours[split], theirs[split], split) for split in both]
    return []


def _splits_then_folders(root: Path) -> list[FolderPair]:
    """`train/images` and `train/masks`."""
    found: list[FolderPair] = []
    for split, folder in _split_children(root).items():
        images, masks = _named(folder, IMAGE_FOLDERS), _named(folder, MASK_FOLDERS)
        if images and masks:
            found.append((images[0], masks[0], split))
    return found


def _folders(root: Path) -> list[FolderPair]:
    """`images` and `masks`."""
    images, masks = _named(root, IMAGE_FOLDERS), _named(root, MASK_FOLDERS)
    return [(images[0], masks[0], None)] if images and masks else []


def _annot_folders(root: Path) -> list[FolderPair]:
    """`train` and `trainannot` (CamVid of SegNet), or `train_labels`."""
    children = {child.name.lower(): child for child in _subfolders(root)}
    found: list[FolderPair] = []
    for name, split in SPLIT_FOLDERS.items():
        for tail in ("annot", "_annot", "_labels", "_label", "_masks", "_mask", "_gt"):
            if name in children and name + tail in children:
                found.append((children[name], children[name + tail], split))
    return found


def _one_folder(root: Path) -> list[FolderPair]:
    """Images and masks side by side, told apart by a `_mask` or the like."""
    files = _files(root)
    marked = [path for path in files if _SUFFIX_PATTERN.search(path.stem)]
    return [(root, root, None)] if marked and len(marked) < len(files) else []


# In the order in which they are tried.
LAYOUTS: dict[str, Callable[[Path], list[FolderPair]]] = {
    "images/SPLIT + masks/SPLIT": _folders_then_splits,
    "SPLIT/images + SPLIT/masks": _splits_then_folders,
    "SPLIT + SPLITannot": _annot_folders,
    "images + masks": _folders,
    "images and masks in one folder": _one_folder,
}


def _files(folder: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Return the files below `folder`, sorted; hidden files and folders are skipped."""
    wanted = frozenset(suffixes)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in wanted
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def _pair_folders(root: Path, layout: str, folders: Sequence[FolderPair]) -> Index:
    pairs: list[Pair] = []
    lonely_images: list[Path] = []
    lonely_masks: list[Path] = []
    ambiguous: list[Path] = []
    for image_folder, mask_folder, split in folders:
        images, masks = _files(image_folder), _files(mask_folder)
        if image_folder == mask_folder:
            masks = [path for path in masks if _SUFFIX_PATTERN.search(path.stem)]
            images = [path for path in images if path not in set(masks)]
        masks = [path for path in masks if not _NOT_A_MASK.search(path.stem)]
        matched, twice = match_stems(image_folder, images, mask_folder, masks)
        pairs += [Pair(stem, image, mask, split) for stem, image, mask in matched]
        used = {path for _, image, mask in matched for path in (image, mask)} | set(twice)
        lonely_images += [path for path in images if path not in used]
        lonely_masks += [path for path in masks if path not in used]
        ambiguous += twice
    return Index(
        root,
        layout,
        tuple(pairs),
        tuple(lonely_images),
        tuple(lonely_masks),
        tuple(ambiguous),
    )


def match_stems(
    image_folder: Path, images: Sequence[Path], mask_folder: Path, masks: Sequence[Path]
) -> tuple[list[tuple[str, Path, Path]], list[Path]]:
    """Join images and masks by name.

    Returns:
        The triples (stem, image, mask), and the masks left out since an image has a better one.
    """
    plain = _by_key(mask_folder, masks, lambda stem: stem)
    image_stems = {_relative_stem(image_folder, path): path for path in images}
    if image_stems.keys() & plain.keys():
        image_keys = image_stems
        groups = plain
    else:
        image_keys = {_core(stem): path for stem, path in image_stems.items()}
        groups = _by_key(mask_folder, masks, _core)
        if not image_keys.keys() & groups.keys():
            cut = _shared_affix(image_stems, [_relative_stem(mask_folder, path) for path in masks])
            image_keys = image_stems
            groups = _by_key(mask_folder, masks, cut)
    matched: list[tuple[str, Path, Path]] = []
    twice: list[Path] = []
    for key in sorted(image_keys.keys() & groups.keys()):
        best, *others = sorted(groups[key], key=_preference)
        matched.append((_relative_stem(image_folder, image_keys[key]), image_keys[key], best))
        twice += others
    return matched, twice


def _relative_stem(folder: Path, path: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _by_key(
    folder: Path, paths: Sequence[Path], cut: Callable[[str], str]
) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[cut(_relative_stem(folder, path))].append(path)
    return groups


def _core(stem: str) -> str:
    """Take the well-known affixes off the last part of `stem`."""
    *folders, name = stem.split("/")
    name = _SUFFIX_PATTERN.sub("", _SUFFIX_PATTERN.sub("", name))
    return "/".join([*folders, _PREFIX_PATTERN.sub("", name)])


def _shared_affix(image_stems: Iterable[str], mask_stems: Sequence[str]) -> Callable[[str], str]:
    """Work out what most masks carry around the stem of an image; return what cuts it off."""
    votes: Counter[tuple[str, str]] = Counter()
    by_length = sorted(image_stems, key=len, reverse=True)
    for mask in mask_stems[:64]:
        inside = next((stem for stem in by_length if stem in mask), None)
        if inside is not None:
            head, _, tail = mask.partition(inside)
            votes[head, tail] += 1
    if not votes:
        return lambda stem: stem
    head, tail = votes.most_common(1)[0][0]
    return lambda stem: stem.removeprefix(head).removesuffix(tail)


def _preference(path: Path) -> tuple[int, str]:
    for rank, pattern in enumerate(_MASK_PREFERENCE):
        if pattern.search(path.stem):
            return rank, path.name
    return len(_MASK_PREFERENCE), path.name


def _nothing_found(root: Path) -> str:
    there = ", ".join(f"{child.name}/" for child in _subfolders(root)[:12]) or "no folders"
    return (
        f"no images with masks found in {str(root)!r}, which has {there}; expected "
        "images/{train,val,test} + masks/{train,val,test}, or images + masks, with equal stems; "
        "or name the two folders in a dataset.yaml (keys images, masks)"
    )
