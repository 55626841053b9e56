"""ADE20K in full: colours that number the class and the object, with a json beside each mask.

Format: https://github.com/CSAILVision/ADE20K. The class of a pixel is 256 * int(R / 10) + G, its
object is B. Class 0 is not labelled. The json of the image names the classes that occur in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.text import read_text
from maskzoo.training.data.records.shape import Bitmap, ImageShapes, NotDrawn, Reserved, Shape
from maskzoo.training.data.shapes.fields import MOST_CLASSES, class_name, image_shapes

_SUFFIX = "_seg"


@dataclass(frozen=True)
class Ade20kMasks:
    """The masks of ADE20K in full.

    Args:
        names: the classes, in the order of their numbers.
        by_number: the name of each number; several numbers may share one.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    by_number: Mapping[int, str] = field(repr=False)
    storage: str = "ADE20K's colours of classes and objects"

    @classmethod
    def of(cls, files: Sequence[Path]) -> Ade20kMasks | None:
        """Collect the names of all masks; None where no json beside them names any.

        Args:
            files: the masks, `NAME_seg.png`.

        Raises:
            DataError: there are more classes than a mask can hold.
        """
        found: dict[int, str] = {}
        for file in files:
            for number, name in _names_beside(file):
                found.setdefault(number, name)
        if not found:
            return None
        by_number = dict(sorted(found.items()))
        names = tuple(dict.fromkeys(by_number.values()))
        if len(names) > MOST_CLASSES:
            raise DataError(
                f"these masks of ADE20K in full hold {len(names)} classes; at most {MOST_CLASSES} "
                "are possible: take its scene parsing benchmark of 150 classes "
                "(ADEChallengeData2016), or a part of these images"
            )
        return cls(names, by_number)

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`."""
        try:
            with Image.open(file) as opened:
                colours = np.asarray(opened.convert("RGB")).astype(np.int64)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{file}: the file cannot be read ({error}); export it again") from None
        numbers = 256 * (colours[..., 0] // 10) + colours[..., 1]
        height, width = numbers.shape
        return image_shapes(self._shapes(numbers, file), (height, width))

    def _shapes(self, numbers: np.ndarray, file: Path) -> Iterator[Shape | NotDrawn]:
        for number in np.unique(numbers).tolist():
            label = f"{file.name}, class {number}"
            name = self.by_number.get(number)
            if number == 0:
                yield Shape(Reserved.VOID, Bitmap(numbers == 0), f"{file.name}, not labelled")
            elif name is None:
                yield NotDrawn("of a class that no json names", label)
            else:
                yield Shape(name, Bitmap(numbers == number), label)


def description_of(mask: Path) -> Path:
    """Return the json that describes a mask `NAME_seg.png`."""
    return mask.with_name(f"{mask.stem.removesuffix(_SUFFIX)}.json")


def _names_beside(mask: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbers and names of the classes in the json beside a mask."""
    try:
        content: Any = json.loads(read_text(description_of(mask), western=True))
        objects = content["annotation"]["object"]
    except (DataError, ValueError, KeyError, TypeError):
        return
    for row in objects if isinstance(objects, list) else []:
        number = row.get("name_ndx") if isinstance(row, dict) else None
        name = class_name(row.get("name")) if isinstance(row, dict) else None
        if isinstance(number, int) and number > 0 and name is not None:
            yield number, name
