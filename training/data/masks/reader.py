"""Reading of an image's mask, in any storage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maskzoo.models.errors import DataError
from maskzoo.models.images.orientation import to_upright
from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.masks.stored.maskfile import read_raw_mask
from maskzoo.training.data.records.description import FILE_NAME, Description
from maskzoo.training.data.records.rawmask import AS_STORED, MaskOptions, RawMask
from maskzoo.training.data.records.shape import Annotations


@dataclass(frozen=True)
class MaskReader:
    """Reads the masks of a data set, whichever way they are stored.

    Args:
        annotations: draws masks that are stored as outlines; None where masks are files.
        apply_exif: masks are stored unrotated; each is rotated as the EXIF of its image says.
        options: how mask files are read.
    """

    annotations: Annotations | None = None
    apply_exif: bool = False
    options: MaskOptions = AS_STORED

    @classmethod
    def described(cls, annotations: Annotations | None, description: Description) -> MaskReader:
        """Return the reader of a data set with a dataset.yaml, which may be empty.

        Raises:
            DataError: it has keys for mask files, and the masks are drawn or joined.
        """
        options = MaskOptions(description.threshold, description.array)
        if annotations is not None and options != AS_STORED:
            raise DataError(
                f"`threshold` and `array` in {FILE_NAME} are for masks of one file an image, but "
                f"these are {annotations.storage}; leave them out"
            )
        return cls(annotations, description.apply_exif_to_masks, options)

    def read(self, image: Path, mask: Path, size: tuple[int, int], orientation: int) -> RawMask:
        """Return the mask as it is stored, upright.

        Args:
            image, mask: the two files.
            size: upright (H, W) of the image, at which outlines are drawn.
            orientation: EXIF orientation of the image, 1 where it has none.

        Raises:
            DataError: the mask cannot be read.
        """
        if self.annotations is None:
            raw = read_raw_mask(mask, self.options)
        else:
            # Orientations 5 to 8 swap the sides: unrotated shapes are drawn before the turn.
            is_swapped = self.apply_exif and orientation >= 5
            shapes = self.annotations.read(image, mask)
            raw = paint(shapes, self.annotations.names, size[::-1] if is_swapped else size)
        if not self.apply_exif:
            return raw
        codes = to_upright(np.ascontiguousarray(raw.codes), orientation)
        return replace(raw, codes=codes)
