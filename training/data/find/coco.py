"""COCO: json documents, and the images that they list."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.find.files import list_files, named_folders, split_folders
from maskzoo.training.data.find.pairing import unique_stems
from maskzoo.training.data.records.index import FileIndex
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, Pair, Split
from maskzoo.training.data.shapes.coco import (
    CocoDocument,
    CocoPolygons,
    coco_groups,
    read_coco,
)


def find_coco(root: Path) -> FileIndex | None:
    """COCO json files in the folder, in `annotations`, or in the folders of the splits."""
    places = [
        root,
        *named_folders(root, ("annotations", "annotation")),
        *split_folders(root).values(),
    ]
    files = sorted({file for place in places for file in place.glob("*.json")})
    contents = {file: content for file in files if (content := read_coco(file)) is not None}
    if not contents:
        return None
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in list_files(root):
        by_name[path.name].append(path)
    pairs: dict[Path, Pair] = {}
    unpaired: list[Path] = []
    documents: list[CocoDocument] = []
    for file, content in contents.items():
        split = _split_in_name(file, root)
        images: dict[int, Path] = {}
        for row in content["images"]:
            name = str(row["file_name"])
            image = _coco_image(name, by_name[Path(name).name], file, root)
            if image is None:
                unpaired.append(Path(name))
                continue
            images[int(row["id"])] = image
            pairs.setdefault(image, Pair(image.stem, image, file, split))
        documents.append(CocoDocument(content, images))
    return FileIndex(
        root,
        f"COCO json ({', '.join(dict.fromkeys(file.name for file in contents))})",
        unique_stems(list(pairs.values())),
        masks_without_image=tuple(unpaired),
        annotations=CocoPolygons.of(documents),
        notes=tuple(
            f"category {name!r} has no shape and is the name of a group: it is no class"
            for name in sorted(coco_groups(documents))
        ),
    )


def _coco_image(name: str, found: list[Path], file: Path, root: Path) -> Path | None:
    """Return the one of the files `found` that a COCO json, `file`, means by `name`.

    Of several it is the one with the folders that `name` tells, or beside the json, or in the
    folder of its split.

    Raises:
        DataError: several are as likely.
    """
    split = _split_in_name(file, root)
    narrower: tuple[Callable[[Path], bool], ...] = (
        lambda path: path.as_posix().endswith(f"/{name}"),
        lambda path: file.parent in path.parents,
        lambda path: _split_in_name(path.parent / "_", root) == split,
    )
    for is_meant in narrower:
        found = [path for path in found if is_meant(path)] or found
    if len(found) > 1:
        listed = " or ".join(str(path.relative_to(root)) for path in found[:3])
        raise DataError(
            f"{file.relative_to(root)} lists {name!r}, which may be {listed}: give `file_name` "
            "with the folder, or different names"
        )
    return found[0] if found else None


def _split_in_name(file: Path, root: Path) -> Split | None:
    """Return the split that a word of the file's name or of its folder below `root` says."""
    text = file.relative_to(root).with_suffix("").as_posix().lower()
    words = re.findall(r"[a-z]+(?:2017)?", text)
    return next((SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS), None)
