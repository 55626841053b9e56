"""Search for COCO documents and the images that they list."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.names import composed
from maskzoo.training.data.find.documents import document_files, listed_names, with_meanings
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.find.trees.splits import split_in_name
from maskzoo.training.data.records.readings.account import NO_OBJECT, NOT_LISTED, NOT_THERE
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import SPLIT_FOLDERS, Pair
from maskzoo.training.data.shapes.coco import (
    CocoDocument,
    CocoPolygons,
    coco_notes,
    read_coco,
)
from maskzoo.training.data.shapes.fields import identifier

_TOLD = frozenset(('"annotations"', '"categories"'))


@dataclass(frozen=True)
class _Listed:
    """A document with what it lists.

    Args:
        document: the json.
        pairs: its images.
        unpaired: names of images that are not there.
        lost: annotations that belong to no image, by kind.
        is_of_keypoints: its categories are skeletons, whose outlines other documents hold too.
    """

    document: CocoDocument
    pairs: tuple[Pair, ...]
    unpaired: tuple[Path, ...]
    lost: Counter[str]
    is_of_keypoints: bool


def find_coco(listing: Listing, root: Path) -> list[FileIndex]:
    """Find COCO json files in `root`, in `annotations`, or in the folders of the splits.

    Documents of the same images are readings of their own (instances, stuff, keypoints), and one
    that joins them where each has classes of its own. The others belong together.
    """
    files = document_files(
        listing, root, ".json", ("annotations", "annotation"), lambda told: told >= _TOLD
    )
    contents = {file: content for file in files if (content := read_coco(file)) is not None}
    if not contents:
        return []
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in listing.files(root):
        by_name[composed(path.name)].append(path)
    every = [_listed(file, content, by_name, root) for file, content in contents.items()]
    groups = _groups(every, root)
    found = [
        meant for group in groups for meant in with_meanings(listing, _index(listing, root, group))
    ]
    joined = [group for group in groups if not all(listed.is_of_keypoints for listed in group)]
    if len(joined) > 1 and _differ([_used_names(group) for group in joined]):
        index = _index(listing, root, [listed for group in joined for listed in group])
        found.insert(0, replace(index, origin=replace(index.origin, name="join")))
    return found


def _used_names(group: Sequence[_Listed]) -> set[str]:
    """Return the names of the categories that have annotations."""
    names: set[str] = set()
    for document in (listed.document for listed in group):
        used = {identifier(row.get("category_id")) for row in document.annotations()}
        names |= {name for key, name in document.categories().items() if key in used}
    return names


def _differ(sets: Sequence[set[str]]) -> bool:
    """Tell whether each set has something that no other one has."""
    return all(own - set().union(*sets[:n], *sets[n + 1 :]) for n, own in enumerate(sets))


def _listed(
    file: Path, content: dict[str, Any], by_name: Mapping[str, list[Path]], root: Path
) -> _Listed:
    split = split_in_name(file, root)
    images: dict[str, Path] = {}
    pairs: dict[Path, Pair] = {}
    unpaired: list[Path] = []
    absent: set[str] = set()
    listed: dict[str, str] = {}
    for row in content["images"]:
        if not isinstance(row, dict) or "id" not in row or "file_name" not in row:
            raise DataError(
                f"{file}: an image lacks its id or file_name ({str(row)[:80]}); export the "
                "json again, or take this entry out"
            )
        key = identifier(row["id"])
        name = composed(str(row["file_name"]).replace("\\", "/"))
        if listed.setdefault(key, name) != name:
            raise DataError(
                f"{file}: {listed[key]!r} and {name!r} have the same id {row['id']!r}, so that "
                "nothing says which of them its annotations belong to; give each image an id of "
                "its own, or export the json again"
            )
        image = _coco_image(name, by_name.get(Path(name).name, []), file, root)
        if image is None:
            unpaired.append(Path(name))
            absent.add(key)
            continue
        images[key] = image
        pairs.setdefault(image, Pair(image.stem, image, file, split))
    document = CocoDocument(file, content, images)
    lost: Counter[str] = Counter()
    for annotation in document.annotations():
        key = identifier(annotation.get("image_id"))
        if key not in images:
            lost[NOT_THERE if key in absent else NOT_LISTED] += 1
    lost[NO_OBJECT] = len(content["annotations"]) - len(document.annotations())
    categories = [row for row in content["categories"] if isinstance(row, dict)]
    is_of_keypoints = bool(categories) and all(row.get("keypoints") for row in categories)
    return _Listed(document, tuple(pairs.values()), tuple(unpaired), lost, is_of_keypoints)


def _groups(every: Sequence[_Listed], root: Path) -> list[list[_Listed]]:
    """Return the documents that belong together: those of one name, and those of other images."""
    families: dict[tuple[object, ...], list[_Listed]] = defaultdict(list)
    for listed in every:
        families[_family(listed.document.file, root), listed.is_of_keypoints].append(listed)
    groups: list[tuple[set[Path], list[_Listed]]] = []
    for family in families.values():
        images = {pair.image for listed in family for pair in listed.pairs}
        group = next((group for group in groups if images and group[0].isdisjoint(images)), None)
        if group is None:
            groups.append((images, list(family)))
        else:
            group[0].update(images)
            group[1].extend(family)
    return [group for images, group in groups if images]


def _family(file: Path, root: Path) -> tuple[str, ...]:
    """Return the words of a path without those of splits, as `annotations, instances`."""
    text = file.relative_to(root).with_suffix("").as_posix().lower()
    words = re.split(r"[^a-z0-9]+", text)
    return tuple(
        word
        for word in words
        if not {word, word.rstrip("0123456789")} & SPLIT_FOLDERS.keys() and not word.isdigit()
    )


def _index(listing: Listing, root: Path, group: Sequence[_Listed]) -> FileIndex:
    documents = [listed.document for listed in group]
    pairs: dict[Path, Pair] = {}
    for pair in (pair for listed in group for pair in listed.pairs):
        pairs.setdefault(pair.image, pair)
    names = [listing.relative(document.file) for document in documents]
    polygons = CocoPolygons.of(documents)
    lost = sum((listed.lost for listed in group), Counter[str]())
    is_of_keypoints = all(listed.is_of_keypoints for listed in group)
    return FileIndex(
        root,
        f"COCO json ({listed_names([document.file.name for document in documents])})",
        unique_stems(list(pairs.values())),
        Origin(listed_names(names), {"format": "coco", "annotations": names}),
        masks_without_image=tuple(path for listed in group for path in listed.unpaired),
        annotations=polygons,
        is_bare=polygons.is_bare,
        notes=tuple(coco_notes(documents)),
        rendering="keypoints of persons" if is_of_keypoints else "",
        lost=+lost,
    )


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
        lambda path: composed(path.as_posix()).endswith(f"/{name}"),
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
