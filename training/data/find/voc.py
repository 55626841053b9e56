"""Search for PASCAL VOC: images, masks, and a list of stems for each split."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing
from maskzoo.training.data.files.text import read_text
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import SPLITS, Pair


def find_voc(listing: Listing, root: Path) -> list[FileIndex]:
    """Find `JPEGImages`, `SegmentationClass` and the lists in `ImageSets/Segmentation`.

    Raises:
        DataError: the lists name only images that are not there; a split would be drawn in place
            of the published one.
    """
    lists = root / "ImageSets" / "Segmentation"
    images = root / "JPEGImages"
    masks = next(iter(listing.named(root, ("segmentationclassaug", "segmentationclass"))), None)
    if masks is None or not images.is_dir() or not lists.is_dir():
        return []
    images_of, masks_of = _by_stem(listing, images), _by_stem(listing, masks)
    pairs: list[Pair] = []
    without_mask: list[Path] = []
    without_image: list[Path] = []
    unknown: list[str] = []
    for split in SPLITS:
        file = lists / f"{split}.txt"
        for line in read_text(file, western=True).splitlines() if file.is_file() else ():
            stem = _stem_of(line, images_of)
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
            f"the lists in {listing.relative(lists)} name {len(unknown)} image(s), such as "
            f"{unknown[0]!r}, and none of them lies in {listing.relative(images)} with a mask in "
            f"{listing.relative(masks)}; write the names of these files, without their suffix, "
            "into the lists, or remove the lists"
        )
    if not pairs:
        return []
    keys = {"images": listing.relative(images), "masks": listing.relative(masks)}
    index = FileIndex(
        root,
        "PASCAL VOC",
        unique_stems(pairs),
        Origin(masks.name, keys),
        images_without_mask=tuple(without_mask),
        masks_without_image=tuple(without_image),
        notes=_notes(unknown),
        is_listed=True,
    )
    return [index]


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
    return (f"the lists name {len(unknown)} image(s) that are not there, such as {names}",)
