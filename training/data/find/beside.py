"""Formats with one file of annotations for each image, of the same name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.files.text import read_text, read_yaml
from maskzoo.training.data.records.shape import Annotations
from maskzoo.training.data.shapes.fields import MOST_CLASSES
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
    """Return the names of classes in YOLO's data file or in classes.txt, in the order of ids.

    Raises:
        DataError: the names cannot be those of ids, or one stands twice; names the file.
    """
    for file in listing.files(root, {".yaml", ".yml"}, deep=False):
        content = read_yaml(file)
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, dict | list):
            return _distinct(_by_id(names, file), file)
    for path in (root / "classes.txt", root / "labels" / "classes.txt"):
        if path.is_file():
            lines = read_text(path).strip().splitlines()  # a line between them is an id, too
            return _distinct([line.strip() or f"class_{n}" for n, line in enumerate(lines)], path)
    return []


def _by_id(names: dict[Any, Any] | list[Any], file: Path) -> list[str]:
    """Return names in the order of their ids; an id without a name is called class_n."""
    if isinstance(names, list):
        return [str(name) for name in names]
    by_id: dict[int, str] = {}
    for key, name in names.items():
        text = str(key).strip()  # keys in quotes are numbers too
        if not text.isdecimal() or int(text) >= MOST_CLASSES or int(text) in by_id:
            raise DataError(
                f"{file}: {key!r} in `names` is not an id of its own from 0 to {MOST_CLASSES - 1}; "
                "write each name behind its id, as in `0: cat`"
            )
        by_id[int(text)] = str(name)
    return [by_id.get(number, f"class_{number}") for number in range(max(by_id, default=-1) + 1)]


def _distinct(names: list[str], file: Path) -> list[str]:
    """Return the names if each stands once."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        ids = ", ".join(str(index) for index, name in enumerate(names) if name == repeated[0])
        raise DataError(
            f"{file}: the class name {repeated[0]!r} stands for several ids ({ids}); give each id "
            "a name of its own, or join them by the lines `classes` of dataset.yaml"
        )
    return names


BESIDE: tuple[BesideFormat, ...] = (
    BesideFormat("labelme", "labelme", ".json", _labelme),
    BesideFormat("yolo", "YOLO", ".txt", _yolo),
)
