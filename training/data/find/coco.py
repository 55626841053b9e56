"""Search for COCO documents and the images that they list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.find.trees.splits import split_folders, split_in_name
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import Pair
from maskzoo.training.data.shapes.coco import (
    CocoDocument,
    CocoPolygons,
    coco_notes,
    read_coco,
)
from maskzoo.training.data.shapes.fields import identifier


def find_coco(listing: Listing, root: Path) -> list[FileIndex]:
    """Find COCO json files in `root`, in `annotations`, or in the folders of the splits."""
    places = [
        root,
        *listing.named(root, ("annotations", "annotation")),
        *split_folders(listing, root).values(),
    ]
    files = sorted(
        {file for place in places for file in listing.files(place, {".json"}, deep=False)}
    )
    contents = {file: content for file in files if (content := read_coco(file)) is not None}
    if not contents:
        return []
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in listing.files(root):
        by_name[path.name].append(path)
    pairs: dict[Path, Pair] = {}
    unpaired: list[Path] = []
    documents: list[CocoDocument] = []
    for file, content in contents.items():
        split = split_in_name(file, root)
        images: dict[str, Path] = {}
        for row in content["images"]:
            if not isinstance(row, dict) or "id" not in row or "file_name" not in row:
                raise DataError(
                    f"{file}: an image lacks its id or file_name ({str(row)[:80]}); export the "
                    "json again, or take this entry out"
                )
            name = str(row["file_name"]).replace("\\", "/")
            image = _coco_image(name, by_name[Path(name).name], file, root)
            if image is None:
                unpaired.append(Path(name))
                continue
            images[identifier(row["id"])] = image
            pairs.setdefault(image, Pair(image.stem, image, file, split))
        documents.append(CocoDocument(file, content, images))
    names = [listing.relative(file) for file in contents]
    polygons = CocoPolygons.of(documents)
    index = FileIndex(
        root,
        f"COCO json ({', '.join(dict.fromkeys(file.name for file in contents))})",
        unique_stems(list(pairs.values())),
        Origin(", ".join(names), {"format": "coco", "annotations": names}),
        masks_without_image=tuple(unpaired),
        annotations=polygons,
        is_bare=polygons.is_bare,
        notes=tuple(coco_notes(documents)),
    )
    return [index] if pairs else []


def _coco_image(name: str, found: list[Path], file: Path, root: Path) -> Path | None:
    """Return the image that a COCO json means by a file name, or None.

    Of several it is the one in the folders that `name` gives, or below the folder of the json, or
    in the folder of its split.

    Args:
        name: `file_name` in the json.
        found: the images of that name.
        file: the json.
        root: the folder of the data.

    Raises:
        DataError: several images fit.
    """
    split = split_in_name(file, root)
    narrower: tuple[Callable[[Path], bool], ...] = (
        lambda path: path.as_posix().endswith(f"/{name}"),
        lambda path: file.parent in path.parents,
        lambda path: split_in_name(path.parent / "_", root) == split,
    )
    for is_meant in narrower:
        found = [path for path in found if is_meant(path)] or found
    if len(found) > 1:
        listed = " or ".join(str(path.relative_to(root)) for path in found[:3])
        raise DataError(
            f"{file.relative_to(root)} lists {name!r}, which may be {listed}; write the folder "
            "into its `file_name`, or give the images different names"
        )
    return found[0] if found else None
