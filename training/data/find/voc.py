"""Search for PASCAL VOC: images, masks, and a list of stems for each split."""

from __future__ import annotations

from pathlib import Path

from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.text import read_text
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import SPLITS, Pair


def find_voc(listing: Listing, root: Path) -> list[FileIndex]:
    """Find `JPEGImages`, `SegmentationClass` and the lists in `ImageSets/Segmentation`."""
    lists = root / "ImageSets" / "Segmentation"
    images = root / "JPEGImages"
    masks = next(iter(listing.named(root, ("segmentationclassaug", "segmentationclass"))), None)
    if masks is None or not images.is_dir() or not lists.is_dir():
        return []
    pairs: list[Pair] = []
    unpaired: list[Path] = []
    for split in SPLITS:
        file = lists / f"{split}.txt"
        if not file.is_file():
            continue
        for stem in read_text(file, western=True).split():
            image, mask = images / f"{stem}.jpg", masks / f"{stem}.png"
            if mask.is_file() and image.is_file():
                pairs.append(Pair(stem, image, mask, split))
            else:
                unpaired.append(image if image.is_file() else mask)
    if not pairs:
        return []
    keys = {"images": listing.relative(images), "masks": listing.relative(masks)}
    index = FileIndex(
        root,
        "PASCAL VOC",
        unique_stems(pairs),
        Origin(masks.name, keys),
        images_without_mask=tuple(unpaired),
        is_listed=True,
    )
    return [index]
