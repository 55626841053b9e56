"""Search for COCO's panoptic json and its folder of PNG files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.text import read_json
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.find.trees.splits import split_in_name
from maskzoo.training.data.find.trees.words import split_folders
from maskzoo.training.data.records.readings.account import NOT_THERE, SECOND
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import Pair
from maskzoo.training.data.records.shape import meaning
from maskzoo.training.data.shapes.coco import CocoDocument, is_panoptic
from maskzoo.training.data.shapes.fields import checked_names, identifier
from maskzoo.training.data.shapes.segments.panoptic import PanopticShapes, segments_of


def find_panoptic(listing: Listing, root: Path) -> list[FileIndex]:
    """Find panoptic json files in `root`, in `annotations`, or in the folders of the splits."""
    annotations = listing.named(root, ("annotations", "annotation"))
    places = [root, *annotations, *split_folders(listing.folders(root)).values()]
    pairs: dict[Path, Pair] = {}
    segments: dict[Path, dict[int, str | None]] = {}
    names: dict[str, None] = {}
    files: list[Path] = []
    unpaired: list[Path] = []
    lost: Counter[str] = Counter()
    for file in dict.fromkeys(
        file for place in places for file in listing.files(place, {".json"}, deep=False)
    ):
        document = _document(file) if '"segments_info"' in listing.tells(file) else None
        if document is None:
            continue
        files.append(file)
        categories = document.categories()
        names |= dict.fromkeys(name for name in categories.values() if meaning(name) == name)
        images = {
            identifier(row.get("id")): str(row.get("file_name"))
            for row in document.content.get("images", ())
            if isinstance(row, dict)
        }
        for row in document.annotations():
            png = listing.resolve(f"{file.stem}/{row.get('file_name')}", file.parent, by_name=True)
            image = _image(listing, root, file, images.get(identifier(row.get("image_id")), ""))
            if png is None or image is None or image in pairs:
                segments_here = row.get("segments_info")
                number = len(segments_here) if isinstance(segments_here, list) else 0
                lost[SECOND if image in pairs else NOT_THERE] += number
                unpaired += [] if image in pairs else [Path(str(row.get("file_name")))]
                continue
            try:
                segments[png] = segments_of(row, categories)
            except ValueError as error:
                raise DataError(f"{file}: {image.name}: {error}; export it again") from None
            pairs.setdefault(image, Pair(image.stem, image, png, split_in_name(file, root)))
    if not pairs:
        return []
    relative = [listing.relative(file) for file in files]
    return [
        FileIndex(
            root,
            f"COCO panoptic ({', '.join(file.name for file in files)})",
            unique_stems(list(pairs.values())),
            Origin(", ".join(relative), {"format": "coco-panoptic", "annotations": relative}),
            masks_without_image=tuple(unpaired),
            annotations=PanopticShapes(checked_names([*names], "COCO panoptic"), segments),
            lost=+lost,
        )
    ]


def _document(file: Path) -> CocoDocument | None:
    """Return a panoptic json, or None where the file is something else."""
    content = read_json(file)
    keys = ("annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in keys):
        return None
    return CocoDocument(file, content, {}) if is_panoptic(content) else None


def _image(listing: Listing, root: Path, file: Path, name: str) -> Path | None:
    """Return the image of that name, of several the one in the folder of the json's split."""
    found = listing.candidates(name, file.parent, by_name=True) if name else []
    found = [path for path in found if path.parent.name != file.stem]  # those are its own PNGs
    split = split_in_name(file, root)
    same = [path for path in found if split_in_name(path.parent / "_", root) == split]
    found = same or found
    return found[0] if len(found) == 1 else None
