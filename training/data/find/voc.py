"""Search for PASCAL VOC: images, folders of masks, and a list of stems for each split."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from maskzoo.models.errors import DataError, counted
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing
from maskzoo.training.data.files.text import read_text
from maskzoo.training.data.find.listed.tables import disagreement
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import SPLITS, Pair, Split


def find_voc(listing: Listing, root: Path) -> list[FileIndex]:
    """Find `JPEGImages`, the folders `SegmentationClass…` and the lists for each.

    Raises:
        DataError: the lists name only images that are not there; a split would be drawn in place
            of the published one; or an image is in two splits.
    """
    lists = root / "ImageSets" / "Segmentation"
    images = root / "JPEGImages"
    masks = [
        folder
        for folder in listing.folders(root)
        if folder.name.lower().startswith("segmentationclass") and listing.files(folder)
    ]
    if not masks or not images.is_dir() or not lists.is_dir():
        return []
    images_of = _by_stem(listing, images)
    found = [_of_masks(listing, root, images_of, folder) for folder in masks]
    return [index for index in found if index is not None]


def _of_masks(
    listing: Listing, root: Path, images_of: Mapping[str, Path], masks: Path
) -> FileIndex | None:
    """Return the reading of one folder of masks, None where the lists name none of them."""
    lists, images = root / "ImageSets" / "Segmentation", root / "JPEGImages"
    masks_of = _by_stem(listing, masks)
    pairs: list[Pair] = []
    without_mask: list[Path] = []
    without_image: list[Path] = []
    unknown: list[str] = []
    files = _lists_of(lists, masks)
    for line, stem, split in _listed(files, images_of):
        image, mask = images_of.get(stem), masks_of.get(stem)
        if image is not None and mask is not None:
            pairs.append(Pair(stem, image, mask, split))
        elif image is not None:
            without_mask.append(image)
        elif mask is not None:
            without_image.append(mask)
        elif stem:
            unknown.append(line.strip())
    if unknown and not pairs:
        raise DataError(
            f"the lists in {listing.relative(lists)} name {counted(len(unknown), 'image')}, "
            "such as "
            f"{unknown[0]!r}, and none of them lies in {listing.relative(images)} with a mask in "
            f"{listing.relative(masks)}; write the names of these files, without their suffix, "
            "into the lists, or remove the lists"
        )
    if not pairs:
        return None
    return FileIndex(
        root,
        "PASCAL VOC",
        unique_stems(pairs),
        Origin(masks.name, {"format": "voc", "annotations": listing.relative(masks)}),
        images_without_mask=tuple(without_mask),
        masks_without_image=tuple(without_image),
        helpers=tuple(files.values()),
        notes=(
            f"lists: {', '.join(listing.relative(file) for file in files.values())}",
            *_notes(unknown),
        ),
        is_listed=True,
    )


def _list_of(lists: Path, split: Split, masks: Path) -> Path | None:
    """Return the list of a split: for the augmented masks their own one, where it is there."""
    names = [f"{split}aug", f"{split}_aug"] if "aug" in masks.name.lower() else []
    files = [lists / f"{name}.txt" for name in [*names, split]]
    return next((file for file in files if file.is_file()), None)


def _lists_of(folder: Path, masks: Path) -> dict[Split, Path]:
    """Return the list of each split; that of train and val together where neither has its own."""
    files = {split: file for split in SPLITS if (file := _list_of(folder, split, masks))}
    both = folder / "trainval.txt"
    if not files.keys() & {"train", "val"} and both.is_file():
        files["train"] = both
    return files


def _listed(
    files: Mapping[Split, Path], images: Mapping[str, Path]
) -> Iterator[tuple[str, str, Split]]:
    """Yield the lines of the lists with the stem that each gives, every stem once.

    Raises:
        DataError: an image is in two splits.
    """
    seen: dict[str, Split] = {}
    for split, file in files.items():
        for line in read_text(file, western=True).splitlines():
            stem = _stem_of(line, images)
            before = seen.get(stem)
            if before not in (None, split):
                raise disagreement(stem, before, files[before], split, file)
            if before is None:
                seen[stem] = split
                yield line, stem, split


def _by_stem(listing: Listing, folder: Path) -> dict[str, Path]:
    """Return the images in a folder by their names without the suffix, as lists give them."""
    files = listing.files(folder, IMAGE_SUFFIXES)
    return {unicodedata.normalize("NFC", file.stem): file for file in files}


def _stem_of(line: str, known: Mapping[str, Path]) -> str:
    """Return the name that a line of a list gives.

    Names may hold spaces. Lists of other tasks write a flag behind the name, and some tools write
    the file's suffix or its folder.
    """
    text = unicodedata.normalize("NFC", line.strip().replace("\\", "/"))
    name = text.rpartition("/")[2]
    tries = [text, name, Path(name).stem, name.rpartition(" ")[0].strip()]
    return next((each for each in tries if each in known), name)


def _notes(unknown: list[str]) -> tuple[str, ...]:
    if not unknown:
        return ()
    names = ", ".join(repr(name) for name in unknown[:3])
    return (
        f"the lists name {counted(len(unknown), 'image that is', 'images that are')} "
        f"not there, such as {names}",
    )
