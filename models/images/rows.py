"""Images that are read a few rows at a time, for tiled prediction in bounded memory.

A TIFF in strips or tiles is decoded as far as its rows are needed; one whose pixels lie in the
file as they are is mapped. Any other image is decoded as a whole by `models.images.decode`: it
is then in memory (3 bytes per pixel), but its label map is not. In either case the pixels are those
of `models.images.decode`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from maskzoo.models.images.decode import (
    DEFAULT_MAX_PIXELS,
    ImageInfo,
    decode_image,
    read_header,
)
from maskzoo.models.preprocessing import Bands


class PixelRows(Protocol):
    """An image that is read from top to bottom, a few rows at a time."""

    height: int
    width: int

    def read(self, top: int, bottom: int) -> np.ndarray:
        """Return rows `top` to `bottom` as uint8 (rows, W, 3) RGB, or (rows, W, C) of bands.

        Tiled prediction reads each row once, in order; images from `open_rows` return any
        rows at any time.
        """
        ...


class ArrayRows:
    """The rows of an array in memory, or of a memory map: uint8 (H, W, C)."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.height, self.width = pixels.shape[:2]
        self._pixels = pixels

    def read(self, top: int, bottom: int) -> np.ndarray:
        """Return a view of the rows."""
        return self._pixels[top:bottom]


@dataclass(frozen=True)
class OpenedImage:
    """An image that is ready to be read.

    Args:
        rows: its upright pixels.
        info: what the decoder found and did.
    """

    rows: PixelRows
    info: ImageInfo


@contextlib.contextmanager
def open_image(
    source: bytes | Path,
    *,
    header: ImageInfo | None = None,
    bands: Bands | None = None,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    name: str | None = None,
) -> Iterator[OpenedImage]:
    """Open an image for reading from top to bottom; bytes are always decoded as a whole.

    Args:
        source: the bytes of a file, or its path; of any format that `decode_image` reads.
        header: what `read_header` returned for the file, where the caller knows that already.
        bands: that the network takes; None gives RGB.
        max_pixels: the most pixels the header may announce; None allows any number.
        name: what messages call the image; as in `decode_image`.

    Raises:
        ImageError: the file cannot be read, or announces too many pixels. A TIFF that is damaged
            further down may raise it when these rows are read.
    """
    if isinstance(source, Path):
        header = header or read_header(source, name=name)
        if header.format == "TIFF":
            from maskzoo.models.images.tiff_rows import open_tiff_rows  # as in decode_image

            rows = open_tiff_rows(
                source, bands=bands, max_pixels=max_pixels, name=name or str(source)
            )
            if rows is not None:
                with contextlib.closing(rows):
                    yield OpenedImage(rows, replace(header, alpha=rows.alpha, scaling=rows.scaling))
                return
    decoded = decode_image(source, bands=bands, max_pixels=max_pixels, name=name)
    yield OpenedImage(ArrayRows(decoded.pixels), decoded.info)


@contextlib.contextmanager
def open_rows(path: Path, *, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> Iterator[PixelRows]:
    """Open the rows of the image at `path`; arguments and errors are those of `open_image`."""
    with open_image(path, max_pixels=max_pixels) as opened:
        yield opened.rows
