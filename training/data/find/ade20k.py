"""Search for ADE20K in full: NAME_seg.png and NAME.json beside each image."""

from __future__ import annotations

from pathlib import Path

from maskzoo.training.data.files.listing import Listing, suffix_of
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.find.trees.splits import split_in_name
from maskzoo.training.data.records.readings.account import lost_in
from maskzoo.training.data.records.readings.index import FileIndex, LeftOut, Origin
from maskzoo.training.data.records.samples import Pair
from maskzoo.training.data.shapes.segments.ade20k import Ade20kMasks, description_of

_MASK = "_seg"
_PARTS = "_parts_"


def find_ade20k(listing: Listing, root: Path) -> list[FileIndex]:
    """Find the masks below `root` whose json names their classes.

    Raises:
        DataError: they hold more classes than a mask can.
    """
    known = set(listing.all_files)
    masks = [
        path
        for path in listing.files(root, {".png"})
        if path.stem.endswith(_MASK) and description_of(path) in known
    ]
    colours = Ade20kMasks.of(masks) if masks else None
    if colours is None:
        return []
    pairs: list[Pair] = []
    lonely: list[Path] = []
    for mask in masks:
        name = mask.stem.removesuffix(_MASK)
        image = next(
            (p for s in (".jpg", ".png") if (p := mask.with_name(name + s)) in known), None
        )
        if image is None:
            lonely.append(mask)
        else:
            stem = image.relative_to(root).with_suffix("").as_posix()
            pairs.append(Pair(stem, image, mask, split_in_name(image, root)))
    if not pairs:
        return []
    folders = {mask.parent for mask in masks}
    beside = [path for folder in folders for path in listing.files(folder, {".png"}, deep=False)]
    parts = tuple(sorted(path for path in beside if _PARTS in path.stem))
    below = {mask.with_name(mask.stem.removesuffix(_MASK)) for mask in masks}
    objects = tuple(
        path
        for folder in sorted(below)
        for path in listing.files(folder, None)
        if suffix_of(path) == ".png"
    )
    left = (LeftOut("parts of objects", parts), LeftOut("masks of single objects", objects))
    return [
        FileIndex(
            root,
            "ADE20K in full (_seg.png with a json for each image)",
            unique_stems(pairs),
            Origin("ADE20K _seg.png", {"format": "ade20k"}),
            masks_without_image=tuple(lonely),
            left_out=tuple(entry for entry in left if entry.files),
            annotations=colours,
            helpers=tuple(description_of(pair.mask) for pair in pairs),
            notes=("pixels of class 0 are not labelled: ignored",),
            is_listed=True,
            lost=lost_in(colours, lonely),
        )
    ]
