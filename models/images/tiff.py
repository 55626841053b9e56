"""TIFF -> samples, by tifffile: any depth, planar or chunky, tiled or in strips, the first page.

Pillow reads few of the TIFFs that cameras, microscopes and satellites write, and those of 16 bits
by clipping or by dropping bits. tifffile gives the samples as they are stored; the header is
judged first (size, bytes, compression, segments inside the file), then pixels are read.

Shapes: samples (H, W, S) as stored, before the orientation tag.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image

from maskzoo.models.errors import (
    ImageDamagedError,
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
)
from maskzoo.models.images.jpeg import check_complete, segment_scans
from maskzoo.models.images.raster.bands import StoredSamples, no_colours
from maskzoo.models.images.raster.gdal import missing, read_band_names, read_no_data
from maskzoo.models.images.samples import (
    composite,
    fill_gaps,
    grey_to_rgb,
    is_alpha,
    scale_to_8_bits,
    scale_valid,
)

JPEG = 7
_COMPRESSIONS = {
    1: "none",
    2: "CCITT RLE",
    3: "CCITT fax 3",
    4: "CCITT fax 4",
    5: "LZW",
    JPEG: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
}
_CHUNKY = 1
_JPEG_ROWS = 16
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = ("red", "green", "blue")
_ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA = 1, 2
_SAMPLE_BYTES_PER_PIXEL = 32
_MAX_PAGES_COUNTED = 10_000


@dataclass(frozen=True)
class TiffHeader:
    """What the first page announces.

    Args:
        width, height: as stored, before the orientation tag is applied.
        mode: type and number of the samples, such as ``uint16x3``.
        bands: samples of a pixel without alpha; 3 where they are a palette, inks or luma.
        has_colours: whether an RGB network can take them; else only one of bands can.
        alpha_kind: 0 none, 1 associated (premultiplied), 2 unassociated.
        pages: images in the file (counted up to 10000).
    """

    width: int
    height: int
    bit_depth: int
    mode: str
    orientation: int
    bands: int
    has_colours: bool
    alpha_kind: int
    has_icc_profile: bool
    pages: int


def read_tiff_header(stream: BinaryIO, name: str) -> TiffHeader:
    """Read the first page's tags; no pixel is touched."""
    with _first_page(stream, name) as page:
        return page_header(page, stream, name)


def read_tiff(
    stream: BinaryIO, name: str, max_pixels: int | None
) -> tuple[TiffHeader, np.ndarray, str, str]:
    """Read the first page as RGB.

    Returns:
        the header, uint8 (H, W, 3) as stored, what was done to alpha, how samples were scaled.

    Raises:
        ImageTooLargeError: before any pixel is read.
        ImageFormatError: a kind of TIFF that is not read.
        ImageDamagedError: the file is truncated or corrupt.
    """
    with _first_page(stream, name) as page:
        header = page_header(page, stream, name)
        samples = _read_samples(page, name, max_pixels)
        pixels, alpha, scaling = _to_rgb(samples, page, name)
        return header, pixels, alpha, scaling


def read_tiff_samples(
    stream: BinaryIO, name: str, max_pixels: int | None
) -> tuple[TiffHeader, StoredSamples]:
    """Read the samples of the first page as they are stored, before the orientation tag.

    Raises:
        ImageError: as in `read_tiff`.
    """
    with _first_page(stream, name) as page:
        header = page_header(page, stream, name)
        samples = _read_samples(page, name, max_pixels)
        has_alpha = header.alpha_kind != 0
        colours = dict(enumerate(_COLOURS)) if page.photometric == _RGB else {}
        names = colours | read_band_names(page)
        return header, StoredSamples(samples, has_alpha, read_no_data(page), names)


def _read_samples(page: tifffile.TiffPage, name: str, max_pixels: int | None) -> np.ndarray:
    check_page(page, name, max_pixels)
    if page.compression != JPEG:
        return _chunky(page.asarray(maxworkers=1), page, name)
    height, width = page.imagelength, page.imagewidth
    samples = np.zeros((height, width, page.samplesperpixel), page.dtype)
    rows = band_height(page)
    for band, top in enumerate(range(0, height, rows)):
        read_band(page, band, samples[top : top + rows], name)
    return samples


@contextmanager
def _first_page(stream: BinaryIO, name: str) -> Iterator[tifffile.TiffPage]:
    """Open the file and yield its first page; errors while it is open mean a damaged file.

    On bad bytes tifffile and its codecs raise almost anything, and give attributes of any type.
    """
    stream.seek(0)
    try:
        with tifffile.TiffFile(stream, _multifile=False) as file:
            yield file.pages.first
    except ImageError:
        raise
    except Exception as error:
        raise damaged_tiff(name, error) from error


def damaged_tiff(name: str, error: Exception) -> ImageDamagedError:
    """Return the error for what tifffile or a codec raised; some of these have no text."""
    return ImageDamagedError(f"{name} is a damaged TIFF: {str(error) or type(error).__name__}")


def page_header(page: tifffile.TiffPage, stream: BinaryIO, name: str) -> TiffHeader:
    """Return what a page announces.

    Raises:
        ImageFormatError: its samples are of a type that is not read.
    """
    if page.dtype is None or page.dtype.kind not in "buif" or min(page.shape, default=0) < 1:
        raise ImageFormatError(
            f"{name} is a TIFF with {page.bitspersample}-bit samples of format "
            f"{page.sampleformat}; save it with 8 or 16 bits a channel"
        )
    orientation = page.tags.valueof(274, 1)
    return TiffHeader(
        width=page.imagewidth,
        height=page.imagelength,
        bit_depth=int(page.bitspersample),
        mode=f"{page.dtype}x{page.samplesperpixel}",
        orientation=orientation if isinstance(orientation, int) else 1,
        bands=_count_bands(page),
        has_colours=_has_colours(page),
        alpha_kind=alpha_kind(page),
        has_icc_profile=34675 in page.tags,
        pages=_count_pages(stream),
    )


def alpha_kind(page: tifffile.TiffPage) -> int:
    """Return 0 for no alpha, 1 for associated (premultiplied), 2 for unassociated."""
    kind = int(page.extrasamples[0]) if page.extrasamples else 0
    return kind if kind in (_ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA) else 0


def _count_bands(page: tifffile.TiffPage) -> int:
    if int(page.photometric) in (_PALETTE, _CMYK, _YCBCR):
        return 3
    return int(page.samplesperpixel) - (alpha_kind(page) != 0)


def check_colours(page: tifffile.TiffPage, name: str) -> None:
    """Reject a page whose samples are neither grey nor colours: nobody knows which ones to show.

    Raises:
        ImageBandsError: it has two bands, or more than three that are not said to start with RGB.
    """
    if not _has_colours(page):
        raise no_colours(_count_bands(page), name)


def _has_colours(page: tifffile.TiffPage) -> bool:
    is_plain = int(page.photometric) in (_MIN_IS_WHITE, _MIN_IS_BLACK)
    return not is_plain or _count_bands(page) in (1, 3)


def check_page(page: tifffile.TiffPage, name: str, max_pixels: int | None) -> None:
    """Reject a page that has too many pixels, is of an unsupported kind, or is truncated.

    Raises:
        ImageError: the reason.
    """
    if max_pixels is not None and page.imagewidth * page.imagelength > max_pixels:
        raise ImageTooLargeError(page.imagewidth, page.imagelength, max_pixels)
    if page.compression not in _COMPRESSIONS:
        raise ImageFormatError(
            f"{name} is a TIFF with compression {int(page.compression)}; allowed are "
            + ", ".join(sorted(set(_COMPRESSIONS.values())))
        )
    if page.imagedepth != 1 or len(page.shape) > 3:
        raise ImageFormatError(f"{name} is a volume of shape {page.shape}; send one plane")
    _check_segments(page, name)
    tile = page.tilewidth * page.tilelength * page.samplesperpixel if page.is_tiled else 0
    most = (max_pixels or page.nbytes) * _SAMPLE_BYTES_PER_PIXEL
    if max(page.nbytes, tile * np.dtype(page.dtype).itemsize) > most:
        raise ImageFormatError(
            f"{name} has {page.nbytes / 1e6:.0f} MB of samples ({page.shape}, {page.dtype}); "
            f"at most {most / 1e6:.0f} MB are allowed: keep fewer channels"
        )


def _check_segments(page: tifffile.TiffPage, name: str) -> None:
    """Reject a page whose strips or tiles are too few or lie outside the file.

    tifffile fills what it cannot find with zeros.
    """
    width, height = page.imagewidth, page.imagelength
    across = math.ceil(width / (page.tilewidth or width)) if page.is_tiled else 1
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    needed = across * math.ceil(height / (rows or height))
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    end = page.parent.filehandle.size
    ends = [offset + count for offset, count in segments]
    if page.is_contiguous:  # then it is read as one piece, whatever lengths its strips announce
        ends.append(page.dataoffsets[0] + page.nbytes)
    if len(segments) < needed or max(ends) > end:
        raise ImageDamagedError(f"{name} is truncated: its pixels lie beyond the file's end")


def band_height(page: tifffile.TiffPage) -> int:
    """Return the rows of a row of strips or tiles."""
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    return int(min(rows or page.imagelength, page.imagelength))


def read_band(page: tifffile.TiffPage, band: int, filled: np.ndarray, name: str) -> None:
    """Read one row of strips or tiles into zeros `filled` (rows, W, S).

    Raises:
        ImageError: a JPEG in it lacks pixels, or has too many scans. tifffile raises others too.
    """
    height = band_height(page)
    across = -(-page.imagewidth // page.tilewidth) if page.is_tiled else 1
    down = -(-page.imagelength // height)
    planes = 1 if page.planarconfig == _CHUNKY else page.samplesperpixel
    for plane in range(planes):
        for column in range(across):
            index = (plane * down + band) * across + column
            data, at, shape = _read_segment(page, index, name)
            if data is None:  # a segment that a sparse file leaves out
                continue
            first, left = at[0], at[3]
            part = data[0, : len(filled), : min(shape[2], page.imagewidth - left)]
            target = filled[: len(part), left : left + part.shape[1]]
            target[..., first : first + part.shape[2]] = part


def _read_segment(
    page: tifffile.TiffPage, index: int, name: str
) -> tuple[np.ndarray | None, Sequence[int], Sequence[int]]:
    """Return a strip or tile (1, H, W, S), its place, and its shape, as tifffile decodes it."""
    handle, count = page.parent.filehandle, page.databytecounts[index]
    handle.seek(page.dataoffsets[index])
    data = handle.read(count) if count else None
    if not data or page.compression != JPEG:
        return page.decode(data, index, _fullsize=True)
    if page.is_tiled:
        name, size = f"tile {index} of {name}", (page.tilewidth, page.tilelength)
    else:  # some writers fill the last strip up to whole blocks
        rows = min(page.rowsperstrip, -(-page.imagelength // _JPEG_ROWS) * _JPEG_ROWS)
        name, size = f"strip {index} of {name}", (page.imagewidth, rows)
    scans = segment_scans(data, page.jpegtables, max_size=size, name=name)
    decoded, at, shape = page.decode(data, index, jpegtables=page.jpegtables, _fullsize=True)
    assert decoded is not None, "only segments without data are None"
    check_complete(scans, decoded[0], name)
    return decoded, at, shape


def _chunky(samples: np.ndarray, page: tifffile.TiffPage, name: str) -> np.ndarray:
    if samples.ndim == 2:
        return samples[..., None]
    if samples.shape[:2] == (page.imagelength, page.imagewidth):
        return samples
    if samples.shape[1:] == (page.imagelength, page.imagewidth):  # planar
        return np.moveaxis(samples, 0, -1)
    raise ImageDamagedError(f"{name} decodes to {samples.shape}, not to its announced size")


def _to_rgb(samples: np.ndarray, page: tifffile.TiffPage, name: str) -> tuple[np.ndarray, str, str]:
    bits, photometric = int(page.bitspersample), int(page.photometric)
    if photometric == _PALETTE:
        return _look_up(samples[..., 0], page, name), "none", "none"
    if photometric == _CMYK and samples.shape[2] >= 4:
        inks, scaling = scale_to_8_bits(samples[..., :4], bits)
        return _from_pillow_mode("CMYK", inks), "none", scaling
    if photometric == _YCBCR and page.compression != JPEG and samples.shape[2] == 3:
        return _from_pillow_mode("YCbCr", samples), "none", "none"
    if photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _YCBCR):
        raise ImageFormatError(f"{name} is a TIFF of colour space {photometric}; save it as RGB")
    check_colours(page, name)
    base = samples.shape[2] - len(page.extrasamples)
    kind = int(page.extrasamples[0]) if page.extrasamples and base > 0 else 0
    has_alpha = kind in (_ASSOCIATED_ALPHA, _UNASSOCIATED_ALPHA)
    channels = base if has_alpha else samples.shape[2]
    colours = samples[..., : 3 if channels >= 3 else 1]
    # 8-bit samples are not scaled: they stay what the file stores.
    gaps = None if bits <= 8 else missing(colours, read_no_data(page))
    colours, scaling = scale_valid(colours, bits, gaps)
    if photometric == _MIN_IS_WHITE:
        colours = 255 - colours
    if gaps is not None:
        colours = fill_gaps(colours, gaps)
    pixels = colours if colours.shape[2] == 3 else grey_to_rgb(colours[..., 0])
    if not has_alpha:
        return pixels, "none", scaling
    alpha, _ = scale_to_8_bits(samples[..., base], bits)
    if not is_alpha(np.bincount(alpha.ravel(), minlength=256)):
        return pixels, "band", scaling
    pixels, done = composite(pixels, alpha, premultiplied=kind == _ASSOCIATED_ALPHA)
    return pixels, done, scaling


def _look_up(indices: np.ndarray, page: tifffile.TiffPage, name: str) -> np.ndarray:
    table = page.colormap  # (3, 2**bits) uint16
    if table is None or indices.max(initial=0) >= table.shape[1]:
        raise ImageDamagedError(f"{name} is a palette TIFF without a complete palette")
    shift = 8 if table.max() > 255 else 0
    output: np.ndarray = (table.T >> shift).astype(np.uint8)[indices]
    return output


def _from_pillow_mode(mode: str, samples: np.ndarray) -> np.ndarray:
    height, width = samples.shape[:2]
    image = Image.frombytes(mode, (width, height), np.ascontiguousarray(samples).tobytes())
    return np.asarray(image.convert("RGB"))


def _count_pages(stream: BinaryIO) -> int:
    """Follow the chain of directories; a broken chain ends the count."""
    stream.seek(0)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = head[2:4] in (b"+\0", b"\0+")
    size, entry, count_type, offset_type = (8, 20, "Q", "Q") if is_big else (2, 12, "H", "I")
    width = 8 if is_big else 4
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack(order + offset_type, head[8:16] if is_big else head[4:8])
        while offset and offset not in seen and len(seen) < _MAX_PAGES_COUNTED:
            stream.seek(offset)
            (entries,) = struct.unpack(order + count_type, stream.read(size))
            stream.seek(entries * entry, 1)
            seen.add(offset)
            (offset,) = struct.unpack(order + offset_type, stream.read(width))
    except (struct.error, OverflowError, OSError, ValueError):
        pass
    return max(1, len(seen))
