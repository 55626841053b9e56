"""Facts about files: the counts of each mask, the header of each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maskzoo.training.data.records.rawmask import CodeKind


@dataclass(frozen=True)
class MaskFacts:
    """What one mask file holds.

    Args:
        kind, mode, palette: as in `RawMask`; the palette only for the indices in use.
        height_width: H and W.
        counts: pixels of each code, the most frequent ones.
        upper: the same of the upper half alone.
        solid: how many blocks of 2 x 2 pixels each of these codes fills: classes fill areas, noise
            does not.
        sha256: hash of the file.
    """

    kind: CodeKind
    mode: str
    height_width: tuple[int, int]
    counts: Mapping[int, int]
    upper: Mapping[int, int]
    solid: Mapping[int, int]
    sha256: str
    palette: Mapping[int, int] | None = None

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
    """What one image file is.

    Args:
        height_width: upright H and W.
        orientation: the EXIF number, 1 if there is none.
        mode: the stored pixels, such as `RGB` or `RGBA`.
        sha256: hash of the file.
        thumbnail: 16 x 16 grey pixels, from a deep scan.
    """

    height_width: tuple[int, int]
    orientation: int
    mode: str
    sha256: str
    thumbnail: bytes | None = None


@dataclass(frozen=True)
class PairFacts:
    """An image and its mask; what could not be read is None, with the reason in `errors`."""

    image: ImageFacts | None
    mask: MaskFacts | None
    errors: tuple[tuple[Path, str], ...] = ()
