"""Search for the files of annotation tools other than COCO's instances, labelme's and YOLO's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import IMAGE_SUFFIXES, Listing, suffix_of
from maskzoo.training.data.files.text import read_json
from maskzoo.training.data.find.documents import document_files, listed_names, with_meanings
from maskzoo.training.data.find.trees.pairing import unique_stems
from maskzoo.training.data.find.trees.splits import split_in_name
from maskzoo.training.data.find.trees.words import split_folders
from maskzoo.training.data.records.readings.account import NOT_THERE, SECOND, lost_in
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import Pair, Split
from maskzoo.training.data.records.shape import ImageShapes, ListedImages
from maskzoo.training.data.shapes.cvat import read_cvat
from maskzoo.training.data.shapes.labelstudio import read_label_studio, without_upload_prefix
from maskzoo.training.data.shapes.listed import ListedShapes
from maskzoo.training.data.shapes.segments.labelmefolders import NAMES_FILE, LabelmeFolders
from maskzoo.training.data.shapes.supervisely import SuperviselyShapes
from maskzoo.training.data.shapes.via import read_via

JsonReader = Callable[[Any], ListedImages | None]
JSON_FORMATS: dict[str, tuple[str, JsonReader]] = {
    "via": ("VIA", read_via),
    "label-studio": ("Label Studio", read_label_studio),
}
_JSON_TOLD = frozenset(('"regions"', "["))  # VIA writes regions, and Label Studio a list
_XML_TOLD = frozenset(("<annotations",))
_FOLDERS = ("annotations", "annotation", "labels", "images", "img")


def find_listed(listing: Listing, root: Path) -> list[FileIndex]:
    """Find files of VIA, Label Studio and CVAT that list images with their shapes."""
    found: dict[str, list[tuple[Path, ListedImages]]] = {}
    for file in document_files(listing, root, ".json", _FOLDERS, _JSON_TOLD.intersection):
        for key, images in _read_json(file):
            found.setdefault(key, []).append((file, images))
    for file in document_files(listing, root, ".xml", _FOLDERS, _XML_TOLD.intersection):
        shapes = read_cvat(file)
        if shapes is not None:
            found.setdefault("cvat", []).append((file, shapes))
    tools = {key: tool for key, (tool, _) in JSON_FORMATS.items()} | {"cvat": "CVAT"}
    readings = [_listed(listing, root, key, tools[key], files) for key, files in found.items()]
    return [meant for index in readings if index.pairs for meant in with_meanings(listing, index)]


def _read_json(file: Path) -> list[tuple[str, ListedImages]]:
    """Return what a json lists, with its format; nothing for a damaged one, which is left out."""
    try:
        content = read_json(file)
    except DataError:
        return []
    listed = ((key, read(content)) for key, (_, read) in JSON_FORMATS.items())
    return [(key, images) for key, images in listed if images is not None]


def _listed(
    listing: Listing,
    root: Path,
    key: str,
    tool: str,
    files: Sequence[tuple[Path, ListedImages]],
) -> FileIndex:
    pairs: dict[Path, Pair] = {}
    shapes: dict[Path, ImageShapes] = {}
    unpaired: list[Path] = []
    notes: list[str] = []
    lost: Counter[str] = Counter()
    for file, listed in files:
        notes += listed.notes
        split = split_in_name(file, root)
        for name, found in listed.images:
            image = _image(listing, root, file, name)
            number = len(found.shapes) + len(found.not_drawn)
            if image is None:
                unpaired.append(Path(name))
                lost[NOT_THERE] += number
            elif image in pairs:
                lost[SECOND] += number
            else:
                pairs[image] = Pair(image.stem, image, file, split or _own(image, root))
                shapes[image] = found
    names = [listing.relative(file) for file, _ in files]
    has_shapes = any(found.shapes for found in shapes.values())
    has_others = any(found.not_drawn for found in shapes.values())
    return FileIndex(
        root,
        f"{tool} ({listed_names([file.name for file, _ in files])})",
        unique_stems(list(pairs.values())),
        Origin(listed_names(names), {"format": key, "annotations": names}),
        masks_without_image=tuple(unpaired),
        annotations=ListedShapes.of(shapes, tool),
        notes=tuple(dict.fromkeys(notes)),
        lost=+lost,
        is_bare=has_others and not has_shapes,
    )


def _own(image: Path, root: Path) -> Split | None:
    return split_in_name(image.parent / "_", root)


def _image(listing: Listing, root: Path, file: Path, name: str) -> Path | None:
    """Return the image that a file means by a name, or None.

    Raises:
        DataError: several images fit.
    """
    for text in dict.fromkeys((name, without_upload_prefix(name))) if name else ():
        every = listing.candidates(text, file.parent, by_name=True)
        found = [path for path in every if suffix_of(path) in IMAGE_SUFFIXES]
        found = [path for path in found if file.parent in path.parents] or found
        split = split_in_name(file, root)
        found = [path for path in found if _own(path, root) == split] or found
        if len(found) > 1:
            listed = " or ".join(listing.relative(path) for path in found[:3])
            raise DataError(
                f"{listing.relative(file)} lists {name!r}, which may be {listed}; write the folder "
                "into the name, or give the images different names"
            )
        if found:
            return found[0]
    return None


def find_supervisely(listing: Listing, root: Path) -> list[FileIndex]:
    """Find Supervisely's folders `img` and `ann`, in this folder or in those below it."""
    pairs: list[Pair] = []
    bare: list[Path] = []
    lonely: list[Path] = []
    for folder in (root, *listing.folders(root)):
        ours, theirs = listing.named(folder, ("img",)), listing.named(folder, ("ann",))
        if not ours or not theirs:
            continue
        files = {file.stem: file for file in listing.files(theirs[0], {".json"}, deep=False)}
        images = {path.name: path for path in listing.files(ours[0], deep=False)}
        split = split_in_name(folder / "_", root) if folder != root else None
        pairs += [
            Pair(images[name].stem, images[name], files[name], split)
            for name in images
            if name in files
        ]
        bare += [path for name, path in images.items() if name not in files]
        lonely += [file for name, file in files.items() if name not in images]
    shapes = SuperviselyShapes.of([pair.mask for pair in pairs]) if pairs else None
    if shapes is None:
        return []
    origin = Origin("Supervisely", {"format": "supervisely"})
    return [
        FileIndex(
            root,
            "Supervisely (img + ann)",
            unique_stems(pairs),
            origin,
            images_without_mask=tuple(bare),
            masks_without_image=tuple(lonely),
            annotations=shapes,
            lost=lost_in(shapes, lonely),
        )
    ]


def find_labelme_folders(listing: Listing, root: Path) -> list[FileIndex]:
    """Find labelme's exported folders `NAME_json`, in this folder or in those of the splits."""
    pairs: list[Pair] = []
    for place in (root, *split_folders(listing.folders(root)).values()):
        for folder in listing.folders(place):
            mask, image = folder / "label.png", folder / "img.png"
            inside = set(listing.files(folder, None, deep=False))
            if {mask, image, folder / NAMES_FILE} <= inside:
                split = split_in_name(folder, root) if place != root else None
                pairs.append(Pair(folder.name.removesuffix("_json"), image, mask, split))
    if not pairs:
        return []
    return [
        FileIndex(
            root,
            "labelme's exported folders (label.png + label_names.txt)",
            unique_stems(pairs),
            Origin("label.png", {"format": "labelme-folders"}),
            annotations=LabelmeFolders.of([pair.mask for pair in pairs]),
            helpers=tuple(pair.mask.parent / NAMES_FILE for pair in pairs),
            is_listed=True,
        )
    ]
