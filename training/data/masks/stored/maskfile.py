"""Reading of mask files as stored: one integer code per pixel.

A code is a stored value, or a colour packed as 0xRRGGBB. Shapes: codes are (H, W).

| file | codes |
| --- | --- |
| 1 bit | 0 and 255 |
| alpha that is opaque everywhere | as without alpha |
| one colour, alpha that differs | alpha |
| other alpha | transparent pixels are black |
| TIFF | as stored, whatever its photometric tag says |
| `.npy`, and `.npz` of one array or with one named mask or label | as a TIFF |
| NaN, infinite, or beyond 32 bits | `NAN` |
| several binary planes (one-hot TIFF) | number of the smallest plane; `UNSET` where none is set |
"""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from maskzoo.models.errors import DataError
from maskzoo.models.images.orientation import to_upright
from maskzoo.training.data.records.rawmask import NAN, UNSET, RawMask

_OPAQUE = 128  # alpha from which a pixel counts as painted
_KEYS = {"mask", "masks", "label", "labels", "label_map", "segmentation"}  # in .npz
_NO_DATA = 42113  # GDAL's tag
_PNG = b"\x89PNG\r\n\x1a\n"


def read_raw_mask(path: Path) -> RawMask:
    """Read a mask file without interpreting it.

    Raises:
        DataError: the file is missing or damaged, or its pixels cannot be a mask.
    """
    if path.suffix.lower() in (".npy", ".npz"):
        return _from_numpy(path)
    try:
        with path.open("rb") as stream, _open(stream) as image:
            if image.format == "TIFF":
                return _from_tiff(path)
            image.load()
            raw = _from_pillow(image, path)
            return replace(raw, lossy=True) if image.format in ("JPEG", "MPO") else raw
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
    """Return stored values as integers; what is not a number of 32 bits becomes `NAN`."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind != "f":
        integers = cast("npt.NDArray[np.integer]", values)
        return integers.astype(np.int64) if integers.dtype == np.uint64 else integers
    is_number = np.abs(values) < 2**31  # NaN is not
    filled = np.where(is_number, values, 0)
    whole: npt.NDArray[np.int32] = filled.astype(np.int32)
    fractions = np.unique(filled[whole != filled])
    if fractions.size:
        shown = ", ".join(f"{float(value):.4g}" for value in fractions[:: -(-fractions.size // 3)])
        raise DataError(
            f"{path}: the file holds fractions such as {shown}, not class ids; if they are "
            "probabilities, write 1 where they reach 0.5 and 0 elsewhere, and export this mask "
            "with these whole numbers"
        )
    whole[~is_number] = NAN
    return whole


def _without_alpha(rgba: npt.NDArray[np.uint8], mode: str) -> RawMask:
    """Return alpha as the mask where it alone varies, else the colours, transparent ones black."""
    alpha = rgba[..., 3]
    rgb = rgba[..., :3]
    if alpha.min() < 255:
        if (rgb == rgb[0, 0]).all():
            return RawMask(np.ascontiguousarray(alpha), "values", mode)
        rgb = np.where(alpha[..., None] < _OPAQUE, np.uint8(0), rgb)
    half = int(((alpha > 0) & (alpha < _OPAQUE)).sum())
    return replace(_grey_or_colours(rgb, mode), half_transparent=half)


def _grey_or_colours(rgb: npt.NDArray[np.uint8], mode: str) -> RawMask:
    """Keep one channel where all three are equal."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return RawMask(np.ascontiguousarray(red), "values", mode)
    return RawMask(pack_colours(rgb), "colours", mode)


def _from_tiff(path: Path) -> RawMask:
    """Read a TIFF as stored: Pillow would invert it where white is zero."""
    try:
        with tifffile.TiffFile(path) as file:
            page = cast("tifffile.TiffPage", file.pages[0])
            values = np.squeeze(file.asarray())
            colours = page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
            table, orientation = page.colormap, page.tags.valueof(274, 1)
            marked = page.tags.valueof(_NO_DATA)
    except (OSError, ValueError, IndexError, KeyError, tifffile.TiffFileError) as error:
        raise DataError(
            f"{path}: the file cannot be read as an image ({error}); export this mask as PNG"
        ) from error
    raw = _from_array(values, path, is_colour=colours)
    if table is not None and raw.kind == "values" and values.ndim == 2:
        packed = pack_colours((np.moveaxis(table, 0, -1)[None] >> 8).astype(np.uint8))[0]
        raw = replace(raw, mode="P", palette={i: int(code) for i, code in enumerate(packed)})
    if orientation in range(2, 9):
        raw = replace(raw, codes=to_upright(np.ascontiguousarray(raw.codes), orientation))
    return replace(raw, no_data=_no_data(marked))


def _from_numpy(path: Path) -> RawMask:
    """Read an array that numpy saved; nothing in it is run."""
    try:
        with path.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            if isinstance(found, np.lib.npyio.NpzFile):
                keys = found.files
                named = [key for key in keys if key.lower() in _KEYS]
                if len(keys) > 1 and len(named) != 1:
                    raise DataError(
                        f"{path}: the file holds the arrays {', '.join(keys)}; name the one that "
                        "is the mask 'mask', or save it alone"
                    )
                found = found[(named or keys)[0]]
    except (OSError, ValueError, EOFError, IndexError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: the file cannot be read ({error}); save the mask again with numpy.save, as "
            "an array of numbers"
        ) from error
    values = np.squeeze(found)
    if values.dtype.kind not in "biuf":
        raise DataError(f"{path}: the array holds {values.dtype}, not numbers; save class ids")
    is_colour = values.dtype == np.uint8 and values.ndim == 3 and int(values.max(initial=0)) > 1
    return _from_array(values, path, is_colour=is_colour)


def _no_data(text: object) -> int | None:
    """Return the code of what GDAL's tag marks as no data."""
    try:
        value = float(str(text).strip("\0 "))
    except ValueError:
        return None
    return int(value) if abs(value) < 2**31 and value == int(value) else NAN


def _from_array(values: npt.NDArray[np.generic], path: Path, *, is_colour: bool) -> RawMask:
    """Return the codes of an array: (H, W), colours (H, W, 3 or 4), or binary planes."""
    if values.ndim == 2:
        mode = {"bool": "1", "uint8": "L", "uint16": "I;16"}.get(str(values.dtype))
        return RawMask(_integers(values, path), "values", mode or str(values.dtype))
    if values.ndim == 3 and is_colour and values.dtype == np.uint8 and values.shape[-1] in (3, 4):
        pixels = cast("npt.NDArray[np.uint8]", values)
        if pixels.shape[-1] == 4:
            return _without_alpha(pixels, "RGBA")
        return _grey_or_colours(pixels, "RGB")
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
    planes = np.moveaxis(values, int(np.argmin(values.shape)), 0).astype(np.bool_)
    codes = np.full(planes.shape[1:], UNSET, np.int32)  # planes are (planes, H, W)
    # The smallest plane lies on top, as the smallest shape does.
    for plane in sorted(range(len(planes)), key=lambda number: -int(planes[number].sum())):
        codes[planes[plane]] = plane
    overlap = int((planes.sum(axis=0) > 1).sum())
    return RawMask(codes, "values", "onehot", overlap=overlap)
