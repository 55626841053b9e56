"""labelme's exported folders: `NAME_json` with img.png, label.png and label_names.txt.

Each folder numbers the labels that occur in its own image, so the same value may mean another class
in the next folder: only the names in `label_names.txt` count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.text import read_text
from maskzoo.training.data.records.shape import (
    Bitmap,
    ImageShapes,
    NotDrawn,
    Shape,
    meaning,
)
from maskzoo.training.data.shapes.fields import checked_names, image_shapes

NAMES_FILE = "label_names.txt"


@dataclass(frozen=True)
class LabelmeFolders:
    """The masks of labelme's exported folders.

    Args:
        names: the labels of all folders, sorted.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    storage: str = "labelme's exported folders"

    @classmethod
    def of(cls, files: Sequence[Path]) -> LabelmeFolders:
        """Collect the names of all folders.

        Args:
            files: the file label.png of each folder.
        """
        names = {name for file in files for name in _names(file)}
        classes = sorted(name for name in names if isinstance(meaning(name), str))
        return cls(checked_names(classes, "labelme"))

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`."""
        try:
            with Image.open(file) as opened:
                codes = np.asarray(opened)
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{file}: it cannot be read ({error}); export it again") from None
        if codes.ndim != 2:
            raise DataError(f"{file}: the file holds colours, not label numbers; export it again")
        height, width = codes.shape
        return image_shapes(_shapes(codes, _names(file), file), (height, width))


def _names(file: Path) -> list[str]:
    lines = read_text(file.with_name(NAMES_FILE)).splitlines()
    return [line.strip() for line in lines if line.strip()]


def _shapes(codes: np.ndarray, names: Sequence[str], file: Path) -> Iterator[Shape | NotDrawn]:
    for code in np.unique(codes).tolist():
        label = f"{file.parent.name}, value {code}"
        if 0 <= code < len(names):
            yield Shape(meaning(names[code]), Bitmap(codes == code), label)
        elif code:
            yield NotDrawn(f"of a value that {NAMES_FILE} does not name", label)
