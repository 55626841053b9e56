"""TIFF files read a few rows at a time: strips or tiles, chunky or planar, 8 or 16 bits.

The rules of `models.images.decode` need to know the whole image in two places: the depth in
use of 16-bit samples, and whether a channel that is flagged as alpha behaves as alpha. Both are
looked up in a first pass, a row of segments (strips or tiles) at a time.

Shapes: a row of segments is (rows, W, S), with S samples for each pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from maskzoo.models.errors import ImageError
from maskzoo.models.images.raster.bands import BY_BANDS, BandReader
from maskzoo.models.images.raster.gdal import missing, read_no_data
from maskzoo.models.images.samples import (
    ALPHA_BACKGROUND,
    NO_DATA_LEFT_OUT,
    composite,
    fill_gaps,
    grey_to_rgb,
    is_alpha,
    significant_bits,
)
from maskzoo.models.images.tiff import (
    JPEG,
    alpha_kind,
    band_height,
    check_colours,
    check_page,
    damaged_tiff,
    page_header,
    read_band,
)
from maskzoo.models.preprocessing import Bands

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _YCBCR = 0, 1, 2, 6
_CHUNKY = 1
_MAX_BAND_BYTES = 256_000_000


def open_tiff_rows(
    path: Path, *, bands: Bands | None = None, max_pixels: int | None, name: str
) -> TiffRows | None:
    """Open a TIFF by rows; None for rotated, palette and CMYK ones, which are read whole.

    So are floats and signed integers, unless `bands` say how they are scaled.

    Args:
        bands: that the network takes; None gives RGB.
        name: what messages call the image.

    Raises:
        ImageError: the file cannot be read, is damaged, or announces too many pixels.
    """
    try:
        if not _is_row_readable(path, bands, max_pixels, name):
            return None
        return TiffRows(path, name, bands)
    except ImageError:
        raise
    except OSError as error:
        raise ImageError(f"{name} cannot be read: {error.strerror}") from None
    except Exception as error:  # on bad bytes tifffile raises almost anything
        raise damaged_tiff(name, error) from error


def _is_row_readable(path: Path, bands: Bands | None, max_pixels: int | None, name: str) -> bool:
    with path.open("rb") as stream, tifffile.TiffFile(stream, _multifile=False) as file:
        page = file.pages.first
        header = page_header(page, stream, name)
        check_page(page, name, max_pixels)
        colours = {_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB}
        if page.compression == JPEG:
            colours.add(_YCBCR)
        stored = np.dtype(page.dtype)
        is_colour = int(page.photometric) in colours
        if is_colour and bands is None:
            check_colours(page, name)
        return (
            header.orientation == 1
            and is_colour
            and (bands is not None or stored in (np.uint8, np.uint16))
            and header.bit_depth == 8 * stored.itemsize
            and (page.is_contiguous or _band_bytes(page) <= _MAX_BAND_BYTES)
        )


@dataclass(frozen=True)
class _Extent:
    """What the first pass finds.

    Args:
        colour_bits, alpha_bits: the depths in use.
        alpha: as in `ImageInfo`; only ``composited`` changes pixels.
        has_gaps: whether samples are missing.
    """

    colour_bits: int
    alpha_bits: int
    alpha: str = "none"
    has_gaps: bool = False


class TiffRows:
    """The rows of the first page of a TIFF that `open_tiff_rows` takes."""

    def __init__(self, path: Path, name: str, bands: Bands | None = None) -> None:
        self._path = path
        self._name = name
        self._file = tifffile.TiffFile(path, _multifile=False)
        page = self._file.pages.first
        self._page = page
        self.height, self.width = page.imagelength, page.imagewidth
        self._type = np.dtype(page.dtype)
        self._alpha_kind = alpha_kind(page)
        self._base = page.samplesperpixel - len(page.extrasamples)
        # 8-bit samples stay what the file stores, as in `models.images.tiff`.
        self._no_data = read_no_data(page) if page.bitspersample > 8 else None
        self._mapped = self._map() if page.is_contiguous else None
        self._band: tuple[int, np.ndarray] | None = None
        try:
            self._reader = None if bands is None else self._read_bands(bands)
            self._extent = _Extent(8, 8) if bands is not None else self._look_through()
        except BaseException:
            self.close()
            raise
        self.alpha = self._extent.alpha
        self.scaling = self._describe_scaling()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, top: int, bottom: int) -> np.ndarray:
        """Return rows `top` to `bottom` as uint8 (rows, W, 3) RGB, or (rows, W, C) of bands.

        Raises:
            ImageDamagedError: these rows are corrupt.
        """
        samples = self._samples(top, bottom)
        return self._to_rgb(samples) if self._reader is None else self._reader.pixels(samples)

    def _read_bands(self, bands: Bands) -> BandReader:
        return BandReader.of(
            bands,
            num_samples=self._page.samplesperpixel,
            dtype=self._type,
            has_alpha=self._alpha_kind != 0,
            no_data=read_no_data(self._page),
            name=self._name,
        )

    def _samples(self, top: int, bottom: int) -> np.ndarray:
        if self._mapped is not None:
            return self._mapped[top:bottom]
        height = band_height(self._page)
        bands = range(top // height, (bottom - 1) // height + 1)
        rows = np.concatenate([self._decode_band(band) for band in bands])
        return rows[top - bands[0] * height : bottom - bands[0] * height]

    def _map(self) -> np.ndarray:
        page = self._page
        shape: tuple[int, ...] = (self.height, self.width, page.samplesperpixel)
        if page.planarconfig != _CHUNKY:
            shape = (page.samplesperpixel, self.height, self.width)
        stored = self._type.newbyteorder(self._file.byteorder)
        mapped = np.memmap(self._path, stored, "r", page.dataoffsets[0], shape)
        return mapped if page.planarconfig == _CHUNKY else np.moveaxis(mapped, 0, -1)

    def _decode_band(self, band: int) -> np.ndarray:
        """Return the samples of one band; the last one stays, as two requests may share it."""
        if self._band is None or self._band[0] != band:
            try:
                height = band_height(self._page)
                rows = min(height, self.height - band * height)
                samples = np.zeros((rows, self.width, self._page.samplesperpixel), self._type)
                read_band(self._page, band, samples, self._name)
                self._band = band, samples
            except ImageError:
                raise
            except Exception as error:  # as in open_tiff_rows
                raise damaged_tiff(self._name, error) from error
        return self._band[1]

    def _look_through(self) -> _Extent:
        """Read the whole image once, if the rules need it."""
        bits = int(self._page.bitspersample)
        if bits == 8 and not self._alpha_kind:
            return _Extent(8, 8)
        colour_bits, has_gaps = 8, False
        levels = np.zeros(1 << bits, np.int64)  # of alpha
        for samples in self._bands():
            if bits > 8:
                colours = self._colours(samples)
                gaps = missing(colours, self._no_data)
                has_gaps = has_gaps or gaps is not None
                valid = colours if gaps is None else colours[~gaps]
                colour_bits = max(colour_bits, significant_bits(valid, bits))
            if self._alpha_kind:
                alpha = samples[..., self._base].ravel()
                levels += np.bincount(alpha, minlength=len(levels))
        alpha_bits = significant_bits(np.flatnonzero(levels), bits)
        in_8_bits = levels[: 1 << alpha_bits].reshape(256, -1).sum(1)
        return _Extent(colour_bits, alpha_bits, self._judge_alpha(in_8_bits), has_gaps)

    def _judge_alpha(self, levels: np.ndarray) -> str:
        """Return what becomes of alpha with this histogram, as `composite` decides it."""
        if not self._alpha_kind:
            return "none"
        if not levels[:-1].any():
            return "opaque"
        if not levels[1:].any():
            return "ignored"
        return "composited" if is_alpha(levels) else "band"

    def _describe_scaling(self) -> str:
        """Return what `ImageInfo.scaling` says of the decoded image."""
        if self._reader is not None:
            return BY_BANDS
        bits = int(self._page.bitspersample)
        if bits == 8:
            return "none"
        rule = f"high byte of {self._extent.colour_bits} used bits of {bits}"
        return rule + (NO_DATA_LEFT_OUT if self._extent.has_gaps else "")

    def _bands(self) -> Iterator[np.ndarray]:
        height = 256 if self._mapped is not None else band_height(self._page)
        for top in range(0, self.height, height):
            yield self._samples(top, min(top + height, self.height))

    def _colours(self, samples: np.ndarray) -> np.ndarray:
        channels = self._base if self._alpha_kind else samples.shape[2]
        return samples[..., : 3 if channels >= 3 else 1]

    def _to_rgb(self, samples: np.ndarray) -> np.ndarray:
        stored = self._colours(samples)
        colours = _high_byte(stored, self._extent.colour_bits)
        if int(self._page.photometric) == _MIN_IS_WHITE:
            colours = 255 - colours
        gaps = missing(stored, self._no_data)
        if gaps is not None:
            colours = fill_gaps(colours, gaps)
        pixels = colours if colours.shape[2] == 3 else grey_to_rgb(colours[..., 0])
        if self._extent.alpha != "composited":
            return np.ascontiguousarray(pixels)
        alpha = _high_byte(samples[..., self._base], self._extent.alpha_bits)
        if not alpha.any():  # `composite` would take a channel of zeros for one that is not filled
            return np.full(pixels.shape, ALPHA_BACKGROUND, np.uint8)
        return composite(pixels, alpha, premultiplied=self._alpha_kind == 1)[0]


def _high_byte(samples: np.ndarray, used_bits: int) -> np.ndarray:
    return (samples >> (used_bits - 8)).astype(np.uint8)


def _band_bytes(page: tifffile.TiffPage) -> int:
    return (
        band_height(page) * page.imagewidth * page.samplesperpixel * np.dtype(page.dtype).itemsize
    )
