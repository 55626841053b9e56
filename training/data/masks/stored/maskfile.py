"""Reading of mask files as stored: one integer code per pixel.

A code is a stored value, or a colour packed as 0xRRGGBB. Shapes: codes are (H, W).

| file | codes |
| --- | --- |
| 1 bit | 0 and 255 |
| alpha that is opaque everywhere | as without alpha |
| one colour, alpha that differs | alpha |
| other alpha | transparent pixels are black |
| several binary planes (one-hot TIFF) | number of the plane; 65535 where none is set |
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.rawmask import RawMask

NO_PLANE = 65535
_PNG = b"\x89PNG\r\n\x1a\n"


def read_raw_mask(path: Path) -> RawMask:
    """Read a mask file without interpreting it.

    Raises:
        DataError: the file is missing or damaged, or its pixels cannot be a mask.
    """
    try:
        with path.open("rb") as stream, _open(stream) as image:
            if _has_planes(image):
                return _from_tiff(path)
            image.load()
            return _from_pillow(image, path)
    except UnidentifiedImageError as error:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty; export this mask again") from error
        return _from_tiff(path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: the file cannot be read ({error}); export this mask again"
        ) from error


def pack_colours(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Pack uint8 (H, W, 3) into uint32 (H, W) 0xRRGGBB."""
    packed = rgb[..., 0].astype(np.uint32)
    packed <<= 8
    packed |= rgb[..., 1]
    packed <<= 8
    packed |= rgb[..., 2]
    return packed


def _open(stream: BinaryIO) -> Image.Image:
    """Open an image; PNGs of any size, since masks of whole slides and maps are trusted here."""
    start = stream.read(len(_PNG))
    stream.seek(0)
    return PngImagePlugin.PngImageFile(stream) if start == _PNG else Image.open(stream)


def _has_planes(image: Image.Image) -> bool:
    """Tell whether a TIFF holds one plane for each class, as pages or as channels."""
    if image.format != "TIFF":
        return False
    samples = image.tag_v2.get(277, 1)  # type: ignore[attr-defined]  # SamplesPerPixel
    return samples > 4 or getattr(image, "n_frames", 1) > 1


def _from_pillow(image: Image.Image, path: Path) -> RawMask:
    mode = image.mode
    if mode == "P":
        return RawMask(np.asarray(image), "values", "P", _palette(image))
    if mode == "1":
        return RawMask(np.asarray(image.convert("L")), "values", "1")
    if mode in ("L", "I", "F") or mode.startswith("I;16"):
        return RawMask(_integers(np.asarray(image), path), "values", mode)
    if mode in ("LA", "PA", "RGBA"):
        return _without_alpha(np.asarray(image.convert("RGBA")), mode)
    if mode == "RGB":
        return _grey_or_colours(np.asarray(image), "RGB")
    return _grey_or_colours(np.asarray(image.convert("RGB")), mode)


def _palette(image: Image.Image) -> dict[int, int]:
    table = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return {index: int(code) for index, code in enumerate(pack_colours(table))}


def _integers(values: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.integer]:
    """Return stored values as integers; NaN, which marks pixels without data, becomes -1."""
    if values.dtype.kind != "f":
        return cast("npt.NDArray[np.integer]", values)
    filled = np.nan_to_num(values, nan=-1.0)
    whole: npt.NDArray[np.int32] = filled.astype(np.int32)
    if not np.array_equal(whole, filled):
        raise DataError(
            f"{path}: the file holds fractions such as {float(np.ravel(values)[0])!r}, not class "
            "ids; export this mask with whole numbers, not probabilities"
        )
    return whole


def _without_alpha(rgba: npt.NDArray[np.uint8], mode: str) -> RawMask:
    """Return alpha as the mask where it alone varies, else the colours, transparent ones black."""
    alpha = rgba[..., 3]
    rgb = rgba[..., :3]
    if alpha.min() < 255:
        if (rgb == rgb[0, 0]).all():
            return RawMask(np.ascontiguousarray(alpha), "values", mode)
        rgb = np.where(alpha[..., None] < 128, np.uint8(0), rgb)
    return _grey_or_colours(rgb, mode)


def _grey_or_colours(rgb: npt.NDArray[np.uint8], mode: str) -> RawMask:
    """Keep one channel where all three are equal."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return RawMask(np.ascontiguousarray(red), "values", mode)
    return RawMask(pack_colours(rgb), "colours", mode)


def _from_tiff(path: Path) -> RawMask:
    """Read a TIFF that Pillow does not know: many channels, 32-bit integers, floats."""
    try:
        values = np.squeeze(tifffile.imread(path))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise DataError(
            f"{path}: the file cannot be read as an image ({error}); export this mask as PNG"
        ) from error
    if values.ndim == 2:
        return RawMask(_integers(values, path), "values", f"{values.dtype}")
    if values.ndim != 3:
        raise DataError(
            f"{path}: the mask has the shape {values.shape}; export it with one plane, or with one "
            "for each class"
        )
    if len(np.unique(values)) > 2:
        raise DataError(
            f"{path}: the mask has {min(values.shape)} planes that are not binary; export it with "
            "one plane, or with a binary one for each class"
        )
    axis = int(np.argmin(values.shape))
    planes = np.moveaxis(values, axis, -1) > 0  # (H, W, planes)
    codes = planes.argmax(axis=-1).astype(np.uint16)
    codes[~planes.any(axis=-1)] = NO_PLANE
    return RawMask(codes, "values", "onehot")
