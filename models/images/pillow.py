"""JPEG, PNG, WebP, BMP and GIF by Pillow, each by the reader of its sniffed format."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from maskzoo.models.errors import ImageDamagedError, ImageFormatError, ImageTooLargeError
from maskzoo.models.images.jpeg import JpegScans, check_complete, decode_fast
from maskzoo.models.images.samples import composite, grey_to_rgb, is_alpha, scale_to_8_bits
from maskzoo.models.images.sniff import gif_size, webp_size

_OPENERS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
GREY_MODES = frozenset({"1", "L", "LA", "La"})
_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})


def open_file(
    stream: BinaryIO, file_format: str, name: str, max_pixels: int | None
) -> ImageFile.ImageFile:
    """Open with the reader of the sniffed format.

    `Image.open` is not used: it warns of images of more than 89 megapixels and refuses others, by
    a global limit, where ours is the caller's.

    Raises:
        ImageTooLargeError: the header announces too many pixels.
        ImageDamagedError: the header is truncated or corrupt.
    """
    size = {"GIF": gif_size, "WEBP": webp_size}.get(file_format, _no_size)(stream, name)
    check_size(*size, max_pixels)
    if file_format == "GIF" and Image.MAX_IMAGE_PIXELS is not None:
        check_size(*size, Image.MAX_IMAGE_PIXELS)
    stream.seek(0)
    try:
        return _OPENERS[file_format](stream)
    except Image.DecompressionBombError:
        raise ImageTooLargeError(*size, 2 * (Image.MAX_IMAGE_PIXELS or 0)) from None
    except Exception as error:  # on bad bytes Pillow raises almost anything
        raise ImageDamagedError(f"{name} is a damaged {file_format} file: {error}") from error


def _no_size(_stream: BinaryIO, _name: str) -> tuple[int, int]:
    return 0, 0


def check_size(width: int, height: int, max_pixels: int | None) -> None:
    """Raise `ImageTooLargeError` for more pixels than the caller allows."""
    if max_pixels is not None and width * height > max_pixels:
        raise ImageTooLargeError(width, height, max_pixels)


def read_orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none that can be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # unreadable EXIF does not mean damaged pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def count_frames(image: ImageFile.ImageFile) -> int:
    """Return the number of frames; 1 where a later one is damaged."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # a later frame is damaged; only the first is used
        return 1


def read_pixels(
    image: ImageFile.ImageFile, data: bytes, name: str, bits: int
) -> tuple[np.ndarray, str, str]:
    """Return pixels before orientation, what was done to alpha, how samples were scaled.

    Args:
        data: the bytes of the file.
        bits: of one stored sample.

    Raises:
        ImageError: the pixels are damaged, or of a kind that is not read. Pillow raises others too.
    """
    if image.format in ("JPEG", "MPO"):
        return _jpeg_pixels(image, data, name), "none", "none"
    if bits == 16:
        return _deep_png(image, data)
    image.load()
    scaling = "none" if bits == 8 else f"{bits} bits to 8"
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        levels = np.bincount(rgba[..., 3].ravel(), minlength=256)
        if levels[1:].any() and not is_alpha(levels):
            return np.ascontiguousarray(rgba[..., :3]), "band", scaling
        pixels, done = composite(np.ascontiguousarray(rgba[..., :3]), rgba[..., 3].copy())
        return pixels, done, scaling
    if image.mode not in _PLAIN_MODES:
        raise ImageFormatError(f"{name} has pixels of kind {image.mode}; save it as RGB")
    return np.asarray(image.convert("RGB")), "none", scaling


def _jpeg_pixels(image: ImageFile.ImageFile, data: bytes, name: str) -> np.ndarray:
    scans = JpegScans(data, name)
    pixels = decode_fast(data, scans, image.size) if image.mode in ("L", "RGB") else None
    if pixels is None:
        pixels = np.asarray(image.convert("RGB"))
    check_complete(scans, pixels, name)
    return pixels


def _deep_png(image: ImageFile.ImageFile, data: bytes) -> tuple[np.ndarray, str, str]:
    """Return what `read_pixels` returns for 16 bits; Pillow keeps the high byte of colours."""
    samples = read_png_samples(data)
    has_alpha = image.mode in ALPHA_MODES  # png_decode turns a colour key into alpha
    scaled, scaling = scale_to_8_bits(samples[..., : 3 if samples.shape[2] >= 3 else 1], 16)
    pixels = scaled if scaled.shape[2] == 3 else grey_to_rgb(scaled[..., 0])
    key = image.info.get("transparency")
    if has_alpha:  # of full range, as the PNG specification has it
        pixels, done = composite(pixels, (samples[..., -1] >> 8).astype(np.uint8))
    elif isinstance(key, int):
        shown = np.where(samples[..., 0] == key, 0, 255).astype(np.uint8)
        pixels, done = composite(pixels, shown)
    else:
        done = "none" if key is None else "ignored"
    return pixels, done, scaling


def read_png_samples(data: bytes) -> np.ndarray:
    """Return the uint16 samples (H, W, S) of a PNG, with a colour key as alpha."""
    from imagecodecs import png_decode  # takes time to import, and few images need it

    samples: np.ndarray = png_decode(data)
    return samples[..., None] if samples.ndim == 2 else samples
