"""Reading of mask files as stored: one integer code per pixel.

A code is a stored value, or a colour packed as 0xRRGGBB. Shapes: codes are (H, W).

| file | codes |
| --- | --- |
| 1 bit | 0 and 255 |
| alpha that is opaque everywhere | as without alpha |
| one colour, alpha that differs | alpha |
| other alpha | transparent pixels are black |
| TIFF | as stored, whatever its photometric tag says |
| colours of 16 bits that were widened from 8 | those of 8 bits |
| `.npy`, `.npz`, `.mat`, `.h5`: the array that is the mask (`masks.stored.arrays`) | as a TIFF |
| NaN, infinite, or beyond 32 bits | `NAN` |
| any of these, with a threshold in dataset.yaml | 1 from the threshold on, else 0 |
| several binary planes (one-hot TIFF) | number of the smallest plane; `UNSET` where none is set |
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from maskzoo.models.errors import DataError
from maskzoo.models.images.orientation import to_upright
from maskzoo.training.data.masks.stored.arrays import ARRAY_SUFFIXES, read_array
from maskzoo.training.data.masks.stored.source import MaskSource, pack_colours
from maskzoo.training.data.records.rawmask import AS_STORED, NAN, MaskOptions, RawMask

_NO_DATA = 42113  # GDAL's tag
_PNG = b"\x89PNG\r\n\x1a\n"


def read_raw_mask(path: Path, options: MaskOptions = AS_STORED) -> RawMask:
    """Read a mask file without interpreting it.

    Args:
        path: the file.
        options: what dataset.yaml says about the masks.

    Raises:
        DataError: the file is missing or damaged, or its pixels cannot be a mask.
    """
    source = MaskSource(path, options)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        values = read_array(source)
        is_colour = values.dtype == np.uint8 and values.ndim == 3 and int(values.max()) > 1
        return source.array(values, is_colour=is_colour)
    try:
        with path.open("rb") as stream, _open(stream) as image:
            if image.format == "TIFF":
                return _from_tiff(source)
            image.load()
            raw = _from_pillow(image, source)
            return replace(raw, lossy=True) if image.format in ("JPEG", "MPO") else raw
    except UnidentifiedImageError as error:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty; export this mask again") from error
        return _from_tiff(source)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: the file cannot be read ({error}); export this mask again"
        ) from error


def _open(stream: BinaryIO) -> Image.Image:
    """Open an image; PNGs of any size, since masks of whole slides and maps are trusted here."""
    start = stream.read(len(_PNG))
    stream.seek(0)
    return PngImagePlugin.PngImageFile(stream) if start == _PNG else Image.open(stream)


def _from_pillow(image: Image.Image, source: MaskSource) -> RawMask:
    mode = image.mode
    if mode == "P":
        return source.values(np.asarray(image), "P", _palette(image))
    if mode == "1":
        return source.values(np.asarray(image.convert("L")), "1")
    if mode in ("L", "I", "F") or mode.startswith("I;16"):
        return source.values(np.asarray(image), mode)
    if mode in ("LA", "PA", "RGBA"):
        return source.with_alpha(np.asarray(image.convert("RGBA")), mode)
    if mode == "RGB":
        return source.colours(np.asarray(image), "RGB")
    return source.colours(np.asarray(image.convert("RGB")), mode)


def _palette(image: Image.Image) -> dict[int, int]:
    table = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return {index: int(code) for index, code in enumerate(pack_colours(table))}


def _from_tiff(source: MaskSource) -> RawMask:
    """Read a TIFF as stored: Pillow would invert it where white is zero."""
    try:
        with tifffile.TiffFile(source.path) as file:
            page = cast("tifffile.TiffPage", file.pages[0])
            values = np.squeeze(file.asarray())
            is_cmyk = page.photometric == tifffile.PHOTOMETRIC.SEPARATED
            colours = page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
            table, orientation = page.colormap, page.tags.valueof(274, 1)
            marked = page.tags.valueof(_NO_DATA)
    except (OSError, ValueError, IndexError, KeyError, tifffile.TiffFileError) as error:
        raise source.error(
            f"the file cannot be read as an image ({error}); export this mask as PNG"
        ) from error
    if is_cmyk:
        raise source.error("its colours are CMYK, made for printing; export this mask as RGB PNG")
    if table is not None and values.ndim == 2:
        packed = pack_colours((np.moveaxis(table, 0, -1)[None] >> 8).astype(np.uint8))[0]
        raw = source.values(values, "P", {index: int(code) for index, code in enumerate(packed)})
    else:
        raw = source.array(values, is_colour=colours)
    if orientation in range(2, 9):
        raw = replace(raw, codes=to_upright(np.ascontiguousarray(raw.codes), orientation))
    return replace(raw, no_data=_no_data(marked))


def _no_data(text: object) -> int | None:
    """Return the code of what GDAL's tag marks as no data."""
    try:
        value = float(str(text).strip("\0 "))
    except ValueError:
        return None
    return int(value) if abs(value) < 2**31 and value == int(value) else NAN
