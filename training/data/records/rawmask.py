"""Masks as stored, and what became of the annotations that they were drawn from.

Shapes: codes are (H, W). A code is a stored value, or a colour packed as 0xRRGGBB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

CodeKind = Literal["values", "colours"]
NAN = -(2**31) + 101
"""The code of pixels without a number: NaN, infinite, or beyond 32 bits. No tool writes it."""
UNSET = -(2**31) + 102
"""The code of pixels that no plane of a mask sets."""
VOID = 255  # of drawn shapes: pixels to ignore
NO_PIXEL = "smaller than a pixel, or outside the image"  # a kind of shape that is not drawn


@dataclass(frozen=True)
class ShapeTally:
    """What became of the annotations of one image: `found` is the sum of the three others.

    Args:
        found: number of annotations.
        drawn: those that have pixels in the mask.
        covered: those whose pixels all belong to smaller shapes.
        not_drawn: the others by kind; a kind reads well after its number.
        examples: some of those that are not drawn, with their kind.
        damaged: those that cannot be what their tool wrote; they are in `not_drawn` too.
        names: annotations that are not drawn by class, where it is known.
        scaled_from: (H, W) that the annotations were made for, where they were scaled.
    """

    found: int
    drawn: int
    covered: int
    not_drawn: Mapping[str, int]
    examples: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    names: Mapping[str, int] = field(default_factory=dict)
    scaled_from: tuple[int, int] | None = None


@dataclass(frozen=True)
class MaskOptions:
    """What dataset.yaml says about how mask files are read.

    Args:
        threshold: of soft masks: values from it on are 1, the others 0.
        array: name of the array that is the mask, in files that hold several.
    """

    threshold: float | None = None
    array: str | None = None


AS_STORED = MaskOptions()
"""The options where dataset.yaml says nothing."""


@dataclass(frozen=True)
class RawMask:
    """The content of one mask.

    Args:
        codes: stored values, palette indices or packed colours, (H, W).
        kind: what `codes` are.
        mode: pixel mode of the file: `L`, `P`, `RGB`, `RGBA`, `1`, `I;16`, `onehot` …
        palette: index → packed colour, for mode `P`.
        tally: what became of the annotations that the mask is drawn from; None for files.
        no_data: the value that the file marks as no data (GDAL's tag), where it has one.
        overlap: pixels that are set in several planes.
        half_transparent: pixels that count as black although their alpha is not 0.
        lossy: the file is a JPEG, which changes codes near edges.
    """

    codes: npt.NDArray[np.integer]
    kind: CodeKind
    mode: str
    palette: Mapping[int, int] | None = None
    tally: ShapeTally | None = None
    no_data: int | None = None
    overlap: int = 0
    half_transparent: int = 0
    lossy: bool = False

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
