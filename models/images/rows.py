"""Images that are read a few rows at a time, for tiled prediction in bounded memory.

A TIFF in strips or tiles is decoded as far as its rows are needed; one whose pixels lie in the
file as they are is mapped. Any other image is decoded as a whole by `models.images.decode`: it
is then in memory (3 bytes per pixel), but its label map is not. In either case the pixels are those
of `models.images.decode`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskzoo.models.errors import ImageError
from maskzoo.models.images.decode import DEFAULT_MAX_PIXELS, decode_image, read_header
from maskzoo.models.images.tiff_rows import TiffRows, is_row_readable
from maskzoo.models.inference.tiled import ArrayRows, PixelRows


@contextmanager
def open_rows(path: Path, *, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> Iterator[PixelRows]:
    """Open the image at `path` for reading from top to bottom.

    Args:
        path: of any format that `decode_image` reads.
        max_pixels: the most pixels the header may announce; None allows any number.

    Raises:
        ImageError: the file cannot be read, or announces too many pixels. A TIFF that is damaged
            further down may raise it when these rows are read.
    """
    if read_header(path).format == "TIFF" and is_row_readable(path, max_pixels=max_pixels):
        try:
            rows = TiffRows(path)
        except OSError as error:
            raise ImageError(f"{path} cannot be read: {error.strerror}") from None
        try:
            yield rows
        finally:
            rows.close()
        return
    yield ArrayRows(decode_image(path, max_pixels=max_pixels).pixels)
