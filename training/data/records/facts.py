"""Facts about files: the counts of each mask, the header of each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maskzoo.training.data.records.rawmask import CodeKind, ShapeTally


@dataclass(frozen=True)
class MaskFacts:
    """The counts of one mask.

    Args:
        kind, mode, palette: as in `RawMask`; the palette only for the indices in use.
        height_width: H and W.
        counts: pixels of each code; of very many codes, only the most frequent ones.
        upper: the same for the upper half alone.
        solid: blocks of 2 x 2 pixels that each code fills. Classes fill areas, noise does not.
        sha256: hash of the file, or of the drawn mask.
        tally: as in `RawMask`.
    """

    kind: CodeKind
    mode: str
    height_width: tuple[int, int]
    counts: Mapping[int, int]
    upper: Mapping[int, int]
    solid: Mapping[int, int]
    sha256: str
    palette: Mapping[int, int] | None = None
    tally: ShapeTally | None = None

    def as_colours(self) -> dict[int, int]:
        """Return the counts by packed colour."""
        return self.by_colour(self.counts)

    def by_colour(self, counts: Mapping[int, int]) -> dict[int, int]:
        """Return counts of this file's codes by packed colour."""
        if self.kind == "colours":
            return dict(counts)
        result: dict[int, int] = {}
        for code, count in counts.items():
            grey = min(code, 255) * 0x010101
            colour = grey if self.palette is None else self.palette.get(code, grey)
            result[colour] = result.get(colour, 0) + count
        return result


@dataclass(frozen=True)
class ImageFacts:
    """The size and the hash of one image file.

    Args:
        height_width: upright H and W.
        orientation: the EXIF orientation, 1 if there is none.
        mode: pixel mode of the file, such as `RGB` or `RGBA`.
        sha256: hash of the file.
        thumbnail: 16 x 16 grey pixels; only a deep scan makes it.
    """

    height_width: tuple[int, int]
    orientation: int
    mode: str
    sha256: str
    thumbnail: bytes | None = None


@dataclass(frozen=True)
class PairFacts:
    """Facts of an image and its mask.

    Args:
        image, mask: None where the file could not be read.
        errors: file and reason of what could not be read.
    """

    image: ImageFacts | None
    mask: MaskFacts | None
    errors: tuple[tuple[Path, str], ...] = ()
