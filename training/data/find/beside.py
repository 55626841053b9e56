"""Formats with one file of annotations for each image, of the same name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.text import read_text, read_yaml
from maskzoo.training.data.records.shape import Annotations
from maskzoo.training.data.shapes.labelme import LabelmePolygons
from maskzoo.training.data.shapes.yolo import YoloPolygons


@dataclass(frozen=True)
class BesideFormat:
    """A format of annotations.

    Args:
        name: its name in dataset.yaml.
        title: its name for people.
        suffix: of its files, in lower case.
        read: returns the annotations in files; None where they are something else. Its arguments
            are the listing, the folder of the data set, and the files.
    """

    name: str
    title: str
    suffix: str
    read: Callable[[Listing, Path, Sequence[Path]], Annotations | None]


def _labelme(listing: Listing, root: Path, files: Sequence[Path]) -> Annotations | None:
    return LabelmePolygons.of(files)


def _yolo(listing: Listing, root: Path, files: Sequence[Path]) -> Annotations | None:
    return YoloPolygons.of(files, _yolo_names(listing, root))


def _yolo_names(listing: Listing, root: Path) -> list[str]:
    """Return the names of classes in YOLO's data file or in classes.txt."""
    for file in listing.files(root, {".yaml", ".yml"}, deep=False):
        content = read_yaml(file)
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, dict):
            return [str(names[key]) for key in sorted(names)]
        if isinstance(names, list):
            return [str(name) for name in names]
    for path in (root / "classes.txt", root / "labels" / "classes.txt"):
        if path.is_file():
            return [line.strip() for line in read_text(path).splitlines() if line]
    return []


BESIDE: tuple[BesideFormat, ...] = (
    BesideFormat("labelme", "labelme", ".json", _labelme),
    BesideFormat("yolo", "YOLO", ".txt", _yolo),
)
