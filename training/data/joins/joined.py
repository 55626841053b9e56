"""Masks that are joined from several files for each image.

Each file holds one class, one object or one side, which is what is not black in it. Where files
overlap, the smaller one lies on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.stored.maskfile import read_raw_mask
from maskzoo.training.data.records.shape import Bitmap, ImageShapes, Shape

OBJECT_NAME = "foreground"  # the class of masks with one file for each object
_BLACK, _WHITE = 32, 223  # grey levels between are neither
_MOST_BETWEEN = 0.1  # fraction of the pixels that soft edges take


@dataclass(frozen=True)
class JoinedMasks:
    """The masks of a data set with several files for each image.

    Args:
        names: the classes without the background.
        parts: index of the class and file of each part, by image; an image without parts holds
            background alone.
        storage: what reports call them.
    """

    names: tuple[str, ...]
    parts: Mapping[Path, Sequence[tuple[int, Path]]] = field(repr=False)
    storage: str = "one mask file a class"

    def read(self, image: Path, file: Path) -> ImageShapes:
        """See `Annotations.read`; a part that marks no pixel is no object."""
        found = [(label, part, read_part(part)) for label, part in self.parts.get(image, ())]
        sizes = {inside.shape for _, _, inside in found}
        if len(sizes) > 1:
            listed = " and ".join(sorted(f"{width} x {height}" for height, width in sizes))
            raise DataError(
                f"the mask files of {image.name} differ in size: {listed}; export them at the size "
                "of the image"
            )
        return ImageShapes(
            sizes.pop() if sizes else None,
            tuple(
                Shape(self.names[label], Bitmap(inside), part.name)
                for label, part, inside in found
                if inside.any()
            ),
        )

    def files(self, image: Path) -> tuple[Path, ...]:
        """Return the mask files of an image."""
        return tuple(path for _, path in self.parts.get(image, ()))


def read_part(path: Path) -> npt.NDArray[np.bool_]:
    """Return where a mask file of one class, object or side marks it, (H, W).

    Raises:
        DataError: it cannot be read, or holds more than two values.
    """
    raw = read_raw_mask(path)
    codes = np.unique(raw.codes)
    if len(codes) <= 2:
        dark = 0 if 0 in codes or len(codes) == 1 else int(codes[0])
        inside: npt.NDArray[np.bool_] = raw.codes != dark
        return inside
    between = np.count_nonzero((raw.codes > _BLACK) & (raw.codes < _WHITE))
    if raw.kind == "values" and codes[-1] == 255 and between < _MOST_BETWEEN * raw.codes.size:
        inside = raw.codes > 127  # soft edges, or JPEG
        return inside
    raise DataError(
        f"{path}: the file holds {len(codes)} values, but one of several mask files of an image "
        "holds two; name the masks that are meant in dataset.yaml"
    )
