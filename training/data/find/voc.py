"""Search for PASCAL VOC: images, masks, and a list of stems for each split."""

from __future__ import annotations

from pathlib import Path

from maskzoo.training.data.find.files import named_folders
from maskzoo.training.data.find.pairing import unique_stems
from maskzoo.training.data.records.index import FileIndex
from maskzoo.training.data.records.samples import SPLITS, Pair


def find_voc(root: Path) -> FileIndex | None:
    """Find `JPEGImages`, `SegmentationClass` and the lists in `ImageSets/Segmentation`."""
    lists = root / "ImageSets" / "Segmentation"
    images = root / "JPEGImages"
    masks = next(iter(named_folders(root, ("segmentationclassaug", "segmentationclass"))), None)
    if masks is None or not images.is_dir() or not lists.is_dir():
        return None
    pairs: list[Pair] = []
    unpaired: list[Path] = []
    for split in SPLITS:
        file = lists / f"{split}.txt"
        if not file.is_file():
            continue
        for stem in file.read_text(encoding="utf-8").split():
            image, mask = images / f"{stem}.jpg", masks / f"{stem}.png"
            if mask.is_file() and image.is_file():
                pairs.append(Pair(stem, image, mask, split))
            else:
                unpaired.append(image if image.is_file() else mask)
    return FileIndex(root, "PASCAL VOC", unique_stems(pairs), images_without_mask=tuple(unpaired))
