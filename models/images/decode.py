"""The one image decoder: bytes -> uint8 (H, W, 3) RGB, upright.

Training, the command line and the service all read images here, so a network sees the same
pixels in each of them.

Order of work: the format is sniffed from the first bytes; the header gives the size; the size is
compared with the pixel limit; only then are pixels decoded.

| input | result |
| --- | --- |
| JPEG, PNG, WebP, TIFF, BMP, GIF | read; any other format is an `ImageFormatError` |
| file name, content type | ignored |
| EXIF or TIFF orientation 1-8 | applied: the result is upright |
| several pages, frames, views (TIFF, GIF, WebP, APNG, MPO) | the first |
| grey, 1-bit, 2-bit, 4-bit | scaled to 0..255 and repeated to RGB |
| palette | looked up |
| CMYK, YCbCr | converted without a colour profile; a CMYK JPEG is taken as Adobe's inverted form |
| ICC profile, gamma chunk | ignored, and reported |
| alpha (also of palettes, and colour keys) | laid over white (`ALPHA_BACKGROUND`) |
| alpha that is 0 everywhere | ignored |
| alpha that behaves as a band of data | ignored, and reported as ``band`` |
| colour key of a 16-bit RGB PNG | ignored |
| integer PNG or TIFF over 8 bits | the top 8 of the bits in use, see below |
| signed TIFF with values below 0 | lowest..highest value to 0..255 |
| float TIFF within 0..1 | 0..1 to 0..255 |
| float TIFF of whole numbers within 0..255 | as they are |
| other float TIFF | lowest..highest finite value to 0..255; NaN becomes the lowest |
| GDAL's no-data value in a TIFF over 8 bits | counts for no range; becomes `NO_DATA_COLOUR` |
| RGB TIFF with further bands | the first three |
| other TIFF of 2, or more than 3 bands | `ImageBandsError`, unless the network takes bands |
| truncated or corrupt; a JPEG that lacks pixels | `ImageDamagedError` |
| progressive JPEG that ends before its last scans | what the others show |
| JPEG of more than 200 scans | `ImageFormatError`, before decoding |
| more pixels than allowed | `ImageTooLargeError`, before decoding |

Integers of more than 8 bits. Cameras put 10, 12 or 14 bits into 16-bit files, and tools put 8
bits there. Dividing by 257 would leave 16 grey levels of 12 bits; stretching each image between
its own extremes would make its brightness depend on single pixels. The rule is between the two:
the depth in use is the smallest of 8, 10, 12, 14, 16, 24, 32, 48, 64 that holds the largest colour
sample of the image, and the top 8 of these bits are kept (``sample >> depth - 8``). A depth that
the file declares (10-, 12- or 14-bit samples) is taken as declared. A series whose images reach
different depths changes its brightness by steps of 4; `ImageInfo.scaling` says which depth was
used. The high byte, and not a rounded division by 257, because both ways to widen 8 bits (times
256, times 257) come back exactly.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import ImageFile

from maskzoo.models.errors import (
    ImageDamagedError,
    ImageError,
)
from maskzoo.models.images.orientation import to_upright, to_upright_bands
from maskzoo.models.images.pillow import (
    ALPHA_MODES,
    GREY_MODES,
    check_size,
    count_frames,
    open_file,
    read_orientation,
    read_pixels,
    read_png_samples,
)
from maskzoo.models.images.raster.bands import BY_BANDS, BandReader, StoredSamples
from maskzoo.models.images.sniff import sniff_format
from maskzoo.models.preprocessing import Bands

if TYPE_CHECKING:
    from maskzoo.models.images.tiff import TiffHeader

DEFAULT_MAX_PIXELS = 50_000_000
"""Pixels of one image, unless the caller says otherwise."""


@dataclass(frozen=True)
class ImageInfo:
    """Facts about a decoded image: its format, its pixels, and how they were converted.

    Args:
        format: one of ``JPEG PNG WEBP TIFF BMP GIF``.
        mode: the stored pixels, in Pillow's words, or as ``uint16x3`` for TIFF.
        width, height: of the upright image.
        bit_depth: stored bits of one sample.
        pages: pages or frames in the file; the first is used.
        orientation: the EXIF number, 1 if there is none.
        exif_transposed: whether the pixels were rotated or mirrored.
        alpha: ``none``, ``opaque``, ``composited``, ``ignored``, or ``band`` if it is a band of
            data; ``present`` if only the header was read.
        icc_profile: ``none`` or ``ignored``.
        scaling: how samples became 8 bits, ``none`` if they were; ``pending`` if only the header
            was read; `BY_BANDS` for files that only a network of bands can take.
        bands: samples of a pixel without alpha; 3 for a palette.
    """

    format: str
    mode: str
    width: int
    height: int
    bit_depth: int
    pages: int
    orientation: int
    exif_transposed: bool
    alpha: str
    icc_profile: str
    scaling: str
    bands: int = 3

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        return asdict(self)

    @property
    def cost(self) -> int:
        """Pixels that the work on the image counts for: four bytes of samples are one."""
        num_bytes = self.bands * max(1, self.bit_depth // 8)
        return self.width * self.height * max(1, -(-num_bytes // 4))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of the file was left out or changed, as lines for a person."""
        remarks = []
        if self.alpha == "band":
            remarks.append("a band is flagged as alpha but holds data; it is not used")
        elif self.bands > 3 and self.scaling != BY_BANDS:
            remarks.append(f"the first 3 of {self.bands} bands are used")
        if self.bit_depth > 8 and self.scaling not in ("pending", BY_BANDS):
            remarks.append(f"{self.bit_depth}-bit samples: {self.scaling}")
        if self.format == "TIFF" and self.pages > 1:
            remarks.append(f"the first of {self.pages} pages is used")
        return tuple(remarks)


@dataclass(frozen=True)
class DecodedImage:
    """Upright pixels, and where they came from.

    Args:
        pixels: uint8 (H, W, 3) RGB, or (H, W, C) of bands.
        info: what was found and done.
        gaps: pixels (H, W) in which all bands are missing; None where none is.
    """

    pixels: np.ndarray
    info: ImageInfo
    gaps: np.ndarray | None = None


def decode_image(
    source: bytes | Path,
    *,
    bands: Bands | None = None,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    name: str | None = None,
) -> DecodedImage:
    """Decode an image to upright RGB, as the module's table says, or to bands.

    Args:
        source: the bytes of the file, or its path.
        bands: that the network takes; None gives RGB.
        max_pixels: the most pixels the header may announce; None allows any number.
        name: what messages call the image; its path if None, or ``image`` where there is none.

    Raises:
        ImageFormatError: the bytes are not an image of an allowed format.
        ImageBandsError: the image has other bands.
        ImageTooLargeError: the header announces too many pixels.
        ImageDamagedError: the image is truncated or corrupt.
    """
    name = _name_of(source, name)
    if bands is not None:
        return _decode_bands(source, bands, max_pixels, name)
    data = _read(source, name) if isinstance(source, Path) else source
    stream = io.BytesIO(data)
    file_format = sniff_format(stream, name)
    if file_format == "TIFF":
        return _decode_tiff(stream, name, max_pixels)
    with open_file(stream, file_format, name, max_pixels) as image:
        header = _header(image, file_format, data)
        check_size(header.width, header.height, max_pixels)
        try:
            pixels, alpha, scaling = read_pixels(image, data, name, header.bit_depth)
        except ImageError:
            raise
        except Exception as error:  # Pillow's readers raise almost anything on bad bytes
            raise ImageDamagedError(f"{name} is a damaged {file_format} file: {error}") from error
        orientation = read_orientation(image)  # again: a PNG may keep its EXIF behind the pixels
    info = replace(_oriented(header, orientation), alpha=alpha, scaling=scaling)
    return DecodedImage(_own(to_upright(pixels, orientation)), info)


def read_samples(
    source: bytes | Path, *, max_pixels: int | None = DEFAULT_MAX_PIXELS, name: str | None = None
) -> tuple[ImageInfo, StoredSamples]:
    """Read the samples of a TIFF or 16-bit PNG as they are stored, upright; of others, RGB.

    Arguments and errors are those of `decode_image`.
    """
    name = _name_of(source, name)
    data = _read(source, name) if isinstance(source, Path) else source
    stream = io.BytesIO(data)
    if sniff_format(stream, name) == "TIFF":
        from maskzoo.models.images.tiff import read_tiff_samples  # as in _decode_tiff

        header, stored = read_tiff_samples(stream, name, max_pixels)
        info = _tiff_info(header)
        upright = to_upright_bands(stored.samples, info.orientation)
        return info, replace(stored, samples=upright)
    info = _read_header(stream, name)
    if info.format != "PNG" or info.bit_depth != 16:
        decoded = decode_image(data, max_pixels=max_pixels, name=name)
        grey = info.bands == 1
        samples = decoded.pixels[..., :1] if grey else decoded.pixels
        return decoded.info, StoredSamples(samples, False, None, {})
    check_size(info.width, info.height, max_pixels)
    try:
        samples = read_png_samples(data)
    except Exception as error:  # as in decode_image
        raise ImageDamagedError(f"{name} is a damaged PNG file: {error}") from error
    samples = to_upright_bands(samples, info.orientation)
    return info, StoredSamples(samples, samples.shape[2] in (2, 4), None, {})


def _decode_bands(
    source: bytes | Path, bands: Bands, max_pixels: int | None, name: str
) -> DecodedImage:
    info, stored = read_samples(source, max_pixels=max_pixels, name=name)
    samples = stored.samples
    reader = BandReader.of(
        bands,
        num_samples=samples.shape[2],
        dtype=samples.dtype,
        has_alpha=stored.has_alpha,
        no_data=stored.no_data,
        name=name,
    )
    info = replace(info, alpha="none", scaling=BY_BANDS)
    return DecodedImage(reader.pixels(samples), info, reader.gaps(samples))


def read_header(source: bytes | Path, *, name: str | None = None) -> ImageInfo:
    """Return the facts in the header; no pixel is decoded.

    A PNG whose EXIF lies behind its pixels is reported as not rotated.

    Args:
        source: the bytes of the file, or its path.
        name: what messages call the image; as in `decode_image`.

    Raises:
        ImageFormatError: the bytes are not an image of an allowed format.
        ImageDamagedError: the header is truncated or corrupt.
    """
    name = _name_of(source, name)
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                return _read_header(stream, name)
        except OSError as error:
            raise ImageError(f"{name} cannot be read: {error.strerror}") from None
    return _read_header(io.BytesIO(source), name)


def _read_header(stream: BinaryIO, name: str) -> ImageInfo:
    file_format = sniff_format(stream, name)
    if file_format == "TIFF":
        from maskzoo.models.images.tiff import read_tiff_header  # as in _decode_tiff

        return _tiff_info(read_tiff_header(stream, name))
    with open_file(stream, file_format, name, None) as image:
        stream.seek(0)
        return _header(image, file_format, stream.read(32))


def _name_of(source: bytes | Path, name: str | None) -> str:
    if name is not None:
        return name
    return str(source) if isinstance(source, Path) else "image"


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{name} cannot be read: {error.strerror}") from None


def _header(image: ImageFile.ImageFile, file_format: str, data: bytes) -> ImageInfo:
    bits = 8
    if file_format == "PNG":
        bits = data[24]
    elif image.mode == "1":
        bits = 1
    has_alpha = image.mode in ALPHA_MODES or "transparency" in image.info
    header = ImageInfo(
        format=file_format,
        mode=image.mode,
        width=image.width,
        height=image.height,
        bit_depth=bits,
        pages=count_frames(image),
        orientation=1,
        exif_transposed=False,
        alpha="present" if has_alpha else "none",
        icc_profile="ignored" if image.info.get("icc_profile") else "none",
        scaling="none" if bits == 8 else "pending",
        bands=1 if image.mode in GREY_MODES or image.mode.startswith("I;16") else 3,
    )
    # A PNG may keep its EXIF behind the pixels: asking for it would decode them.
    is_late = file_format == "PNG" and "exif" not in image.info
    return header if is_late else _oriented(header, read_orientation(image))


def _oriented(info: ImageInfo, orientation: int) -> ImageInfo:
    """Return `info` of an image, with sides swapped as EXIF `orientation` needs it."""
    if info.orientation == orientation:
        return info
    swapped = (info.orientation > 4) != (orientation > 4)
    width, height = (info.height, info.width) if swapped else (info.width, info.height)
    return replace(
        info,
        width=width,
        height=height,
        orientation=orientation,
        exif_transposed=orientation != 1,
    )


def _own(pixels: np.ndarray) -> np.ndarray:
    """Return a contiguous array that its owner may write to; Pillow's are read-only."""
    return np.require(pixels, requirements=["C", "W"])


def _decode_tiff(stream: BinaryIO, name: str, max_pixels: int | None) -> DecodedImage:
    from maskzoo.models.images.tiff import read_tiff  # tifffile takes 60 ms to import

    header, pixels, alpha, scaling = read_tiff(stream, name, max_pixels)
    info = replace(_tiff_info(header), alpha=alpha, scaling=scaling)
    return DecodedImage(_own(to_upright(pixels, info.orientation)), info)


def _tiff_info(header: TiffHeader) -> ImageInfo:
    scaling = "none" if header.mode.startswith("uint8") else "pending"
    info = ImageInfo(
        format="TIFF",
        mode=header.mode,
        width=header.width,
        height=header.height,
        bit_depth=header.bit_depth,
        pages=header.pages,
        orientation=1,
        exif_transposed=False,
        alpha="present" if header.alpha_kind else "none",
        icc_profile="ignored" if header.has_icc_profile else "none",
        scaling=scaling if header.has_colours else BY_BANDS,
        bands=header.bands,
    )
    return _oriented(info, header.orientation if 1 <= header.orientation <= 8 else 1)
