"""Facts about files: the counts of each mask, the header of each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskzoo.models.preprocessing import Bands, Preprocessing
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
        runs, edge_runs: runs of codes that may be void, all and those at edges (`masks.edges`).
        num_uncounted: pixels of the codes that `counts` leaves out.
        tally, no_data, overlap, half_transparent, lossy: as in `RawMask`.
        painted: fraction of the pixels that are those of the image, beside its two most frequent
            colours; 0 for masks of few codes.
    """

    kind: CodeKind
    mode: str
    height_width: tuple[int, int]
    counts: Mapping[int, int]
    upper: Mapping[int, int]
    solid: Mapping[int, int]
    sha256: str
    palette: Mapping[int, int] | None = None
    runs: Mapping[int, int] = field(default_factory=dict)
    edge_runs: Mapping[int, int] = field(default_factory=dict)
    num_uncounted: int = 0
    tally: ShapeTally | None = None
    no_data: int | None = None
    overlap: int = 0
    half_transparent: int = 0
    lossy: bool = False
    painted: float = 0.0

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
        bands: samples of a pixel without alpha; 3 for a palette.
        bit_depth: of one sample.
        has_alpha: whether a TIFF flags a sample as alpha.
        remarks: what of the file was left out or changed.
    """

    height_width: tuple[int, int]
    orientation: int
    mode: str
    sha256: str
    thumbnail: bytes | None = None
    bands: int = 3
    bit_depth: int = 8
    has_alpha: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class BandFacts:
    """The bands of a data set's images, where these are not 8-bit RGB or grey.

    Args:
        preprocessing: how bands become the network's input.
        ranges: lowest and highest value of each band that is used, without missing samples.
        missing: fraction of the samples that are missing.
    """

    preprocessing: Preprocessing
    ranges: tuple[tuple[float, float], ...]
    missing: float

    @property
    def bands(self) -> Bands:
        """The bands that are used."""
        assert self.preprocessing.bands is not None, "these are facts of bands"
        return self.preprocessing.bands

    @property
    def uses_all(self) -> bool:
        """Whether all bands of a file are used, in their order."""
        numbers = [band.number for band in self.bands.channels]
        return numbers == list(range(1, self.bands.in_file + 1))

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain JSON values."""
        bands = self.bands
        return {
            "in_file": bands.in_file,
            "dtype": bands.dtype,
            "no_data": bands.no_data,
            "missing": round(self.missing, 6),
            "used": [
                {
                    "number": band.number,
                    "name": band.name,
                    "range": list(span),
                    "scaled_from": [band.low, band.high],
                    "mean": mean,
                    "std": std,
                }
                for band, span, mean, std in zip(
                    bands.channels,
                    self.ranges,
                    self.preprocessing.mean,
                    self.preprocessing.std,
                    strict=True,
                )
            ],
        }


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
