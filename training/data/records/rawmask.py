"""Masks as stored, and the protocol of painters that draw them from annotations.

Shapes: codes are (H, W). A code is a stored value, or a colour packed as 0xRRGGBB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

CodeKind = Literal["values", "colours"]


@dataclass(frozen=True)
class RawMask:
    """The content of one mask.

    Args:
        codes: stored values, palette indices or packed colours, (H, W).
        kind: what `codes` are.
        mode: pixel mode of the file: `L`, `P`, `RGB`, `RGBA`, `1`, `I;16`, `onehot` …
        palette: index → packed colour, for mode `P`.
    """

    codes: npt.NDArray[np.integer]
    kind: CodeKind
    mode: str
    palette: Mapping[int, int] | None = None

    @property
    def height_width(self) -> tuple[int, int]:
        """H and W."""
        height, width = self.codes.shape
        return int(height), int(width)

    def as_colours(self) -> npt.NDArray[np.uint32]:
        """Return packed colours: through the palette, or as grey where there is none."""
        if self.kind == "colours":
            return self.codes.astype(np.uint32, copy=False)
        table: npt.NDArray[np.uint32] = np.arange(256, dtype=np.uint32) * 0x010101
        if self.palette is not None:
            table[list(self.palette)] = list(self.palette.values())
        colours: npt.NDArray[np.uint32] = table[np.clip(self.codes, 0, 255)]
        return colours


class Annotations(Protocol):
    """Draws the masks of a data set that stores outlines and not pixels.

    Attributes:
        storage: what reports call it.
        names: the classes without the background.
    """

    @property
    def storage(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def draw(self, image: Path, file: Path, size: tuple[int, int]) -> RawMask:
        """Draw the mask of an image.

        Args:
            image: file of the image.
            file: file of its annotation.
            size: upright (H, W) of the image.

        Raises:
            DataError: the annotation is damaged.
        """
