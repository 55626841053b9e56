"""Reading of mask files as stored: one integer code per pixel.

A code is a stored value, or a colour packed as 0xRRGGBB. Shapes: codes are (H, W).

| file | codes |
| --- | --- |
| 1 bit | 0 and 255 |
| grey PNG of 2 or 4 bits | as stored, and not widened to 8 bits |
| alpha that is opaque everywhere | as without alpha |
| one colour, alpha that differs | alpha |
| other alpha | transparent pixels are black |
| TIFF | as stored, whatever its photometric tag says |
| colours of 16 bits that were widened from 8 | those of 8 bits |
| PNG of 16 bits with equal channels | the values of one |
| `.npy`, `.npz`, `.mat`, `.h5`: the array that is the mask (`masks.stored.arrays`) | as a TIFF |
| NaN, infinite, or beyond 32 bits | `NAN` |
| any of these, with a threshold in dataset.yaml | 1 from the threshold on, else 0 |
| several binary planes (one-hot TIFF) | number of the smallest plane; `UNSET` where none is set |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from maskzoo.models.errors import DataError
from maskzoo.models.images.orientation import to_upright
from maskzoo.training.data.masks.stored.arrays import ARRAY_SUFFIXES, Array, ArrayError, read_array
from maskzoo.training.data.records.rawmask import AS_STORED, NAN, UNSET, MaskOptions, RawMask

_OPAQUE = 128  # alpha from which a pixel counts as painted
_NO_DATA = 42113  # GDAL's tag
_PNG_HEAD = 26  # bytes, of which the last two are the bits of a sample and the kind of colour
_PNG = b"\x89PNG\r\n\x1a\n"


def read_raw_mask(path: Path, options: MaskOptions = AS_STORED) -> RawMask:
    """Read a mask file without interpreting it.

    Args:
        path: the file.
        options: what dataset.yaml says about the masks.

    Raises:
        DataError: the file is missing or damaged, or its pixels cannot be a mask.
    """
    source = _Source(path, options)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        try:
            values = read_array(path, options.array)
        except ArrayError as error:
            raise source.error(str(error)) from error
        is_colour = values.dtype == np.uint8 and values.ndim == 3 and int(values.max()) > 1
        return source.array(values, is_colour=is_colour)
    try:
        with path.open("rb") as stream, _open(stream) as image:
            if image.format == "TIFF":
                return _from_tiff(source)
            if image.format == "PNG" and _is_deep_colour(path):  # Pillow keeps its upper 8 bits
                return source.deep_colours()
            image.load()
            raw = _from_pillow(image, source, step=_widening(path) if image.mode == "L" else 1)
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


def _is_deep_colour(path: Path) -> bool:
    """Tell whether a PNG holds colours of 16 bits, by its header."""
    head = _head_of(path)
    return len(head) == _PNG_HEAD and head[24] == 16 and head[25] in (2, 6)


def _widening(path: Path) -> int:
    """Return what Pillow multiplies the greys of a PNG of 2 or 4 bits by; 1 for other files."""
    head = _head_of(path)
    is_grey = len(head) == _PNG_HEAD and head.startswith(_PNG) and head[25] == 0
    return {2: 85, 4: 17}.get(head[24], 1) if is_grey else 1


def _head_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_PNG_HEAD)


def _from_pillow(image: Image.Image, source: _Source, *, step: int = 1) -> RawMask:
    """Return a mask that Pillow opened.

    Args:
        image: the opened file.
        source: the file.
        step: what Pillow has multiplied the stored greys by.
    """
    mode = image.mode
    if mode == "P":
        return source.values(np.asarray(image), "P", _palette(image))
    if mode == "1":
        return source.values(np.asarray(image.convert("L")), "1")
    if mode == "L":
        return source.values(np.asarray(image) // np.uint8(step), mode)
    if mode in ("I", "F") or mode.startswith("I;16"):
        return source.values(np.asarray(image), mode)
    if mode in ("LA", "PA", "RGBA"):
        return source.with_alpha(np.asarray(image.convert("RGBA")), mode)
    if mode == "RGB":
        return source.colours(np.asarray(image), "RGB")
    return source.colours(np.asarray(image.convert("RGB")), mode)


def _palette(image: Image.Image) -> dict[int, int]:
    table = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return {index: int(code) for index, code in enumerate(pack_colours(table))}


def _from_tiff(source: _Source) -> RawMask:
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


@dataclass(frozen=True)
class _Source:
    """A mask file, and how a person wants it to be read.

    Args:
        path: the file.
        options: what dataset.yaml says.
    """

    path: Path
    options: MaskOptions

    def error(self, reason: str) -> DataError:
        """Return an error about the file."""
        return DataError(f"{self.path}: {reason}")

    def values(self, array: Array, mode: str, palette: dict[int, int] | None = None) -> RawMask:
        """Return stored values, (H, W), as a mask; with a threshold as 0 and 1.

        Raises:
            DataError: they are fractions, and there is no threshold; or a threshold and a palette.
        """
        if self.options.threshold is None:
            return RawMask(self._integers(array), "values", mode, palette)
        if array.dtype.kind == "b":
            array = self._integers(array)
        elif palette is not None:
            levels = RawMask(array.astype(np.uint8), "values", mode, palette).as_colours()
            array = self._as_grey(levels)
        is_number = ~np.isnan(array) if array.dtype.kind == "f" else np.ones(array.shape, np.bool_)
        with np.errstate(invalid="ignore"):
            inside: npt.NDArray[np.bool_] = np.greater_equal(array, self.options.threshold)
        if is_number.all():
            return RawMask(inside.astype(np.uint8), "values", "L")
        return RawMask(np.where(is_number, inside.astype(np.int32), np.int32(NAN)), "values", "L")

    def colours(self, rgb: npt.NDArray[np.uint8], mode: str) -> RawMask:
        """Return colours, uint8 (H, W, 3), as a mask; one channel where all three are equal.

        Raises:
            DataError: there is a threshold, and they are not grey.
        """
        red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
        if np.array_equal(red, green) and np.array_equal(green, blue):
            return self.values(np.ascontiguousarray(red), mode)
        if self.options.threshold is not None:
            self._as_grey(pack_colours(rgb))
        return RawMask(pack_colours(rgb), "colours", mode)

    def deep_colours(self) -> RawMask:
        """Return the colours of a PNG of 16 bits: equal channels as values, else those of 8 bits.

        Raises:
            DataError: its channels hold numbers of 16 bits, and not colours.
        """
        read = cv2.imread(str(self.path), cv2.IMREAD_UNCHANGED)
        if read is None or read.ndim != 3:
            raise self.error("the file cannot be read; export this mask again")
        stored: npt.NDArray[np.uint16] = read.astype(np.uint16)
        red, green, blue = stored[..., 2], stored[..., 1], stored[..., 0]
        if np.array_equal(red, green) and np.array_equal(green, blue):
            return self.values(np.ascontiguousarray(red), "I;16")
        if ((stored >> 8) == (stored & 255)).all():  # widened from 8 bits
            return self.colours(
                np.ascontiguousarray(stored[..., 2::-1] & 255).astype(np.uint8), "RGB"
            )
        highest = ", ".join(str(int(channel.max())) for channel in (red, green, blue))
        raise self.error(
            f"its channels hold numbers of 16 bits (up to {highest}), not colours: one of them may "
            "be the classes. Save it alone: `cv2.imwrite('mask.png', cv2.imread('x.png', -1)[..., "
            "2])`, where 2 is the first channel, 1 the second and 0 the third"
        )

    def with_alpha(self, rgba: npt.NDArray[np.uint8], mode: str) -> RawMask:
        """Return alpha as the mask where it alone varies, else colours, transparent ones black."""
        alpha, rgb = rgba[..., 3], rgba[..., :3]
        if alpha.min() < 255:
            if (rgb == rgb[0, 0]).all():
                return self.values(np.ascontiguousarray(alpha), mode)
            rgb = np.where(alpha[..., None] < _OPAQUE, np.uint8(0), rgb)
        half = int(((alpha > 0) & (alpha < _OPAQUE)).sum())
        return replace(self.colours(rgb, mode), half_transparent=half)

    def array(self, values: Array, *, is_colour: bool) -> RawMask:
        """Return an array of any of the shapes as a mask.

        Raises:
            DataError: its shape or its values cannot be a mask.
        """
        if values.ndim == 2:
            mode = {"bool": "1", "uint8": "L", "uint16": "I;16"}.get(str(values.dtype))
            return self.values(values, mode or str(values.dtype))
        if values.ndim != 3:
            raise self.error(
                f"the mask has the shape {values.shape}; export it with one plane, or with one "
                "for each class"
            )
        if is_colour and values.shape[-1] in (3, 4):
            pixels = self._as_8_bits(values)
            return (
                self.with_alpha(pixels, "RGBA")
                if pixels.shape[-1] == 4
                else self.colours(pixels, "RGB")
            )
        return self._planes(values)

    def _planes(self, values: Array) -> RawMask:
        axis = int(np.argmin(values.shape))
        if self.options.threshold is not None:
            raise self.error(
                f"the mask has {values.shape[axis]} planes, and `threshold` in dataset.yaml is for "
                "masks of one; export the plane of the foreground"
            )
        different = np.unique(values)
        if different.dtype.kind == "f" and bool((different % 1 != 0).any()):
            raise self.error(
                f"the mask has {values.shape[axis]} planes of fractions, as networks give them; "
                f"save the number of the largest, `numpy.argmax(mask, axis={axis})`"
            )
        if len(different) > 2 or 0 not in different:
            raise self.error(
                f"the mask has {values.shape[axis]} planes that are not binary (0 and one other "
                "value); export it with one plane, or with a binary one for each class"
            )
        planes = np.moveaxis(values, axis, 0).astype(np.bool_)
        codes = np.full(planes.shape[1:], UNSET, np.int32)  # planes are (planes, H, W)
        # The smallest plane lies on top, as the smallest shape does.
        for plane in sorted(range(len(planes)), key=lambda number: -int(planes[number].sum())):
            codes[planes[plane]] = plane
        overlap = int((planes.sum(axis=0) > 1).sum())
        return RawMask(codes, "values", "onehot", overlap=overlap)

    def _as_8_bits(self, values: Array) -> npt.NDArray[np.uint8]:
        """Return colours of 8 bits, or of 16 that were widened from 8."""
        if values.dtype == np.uint8:
            return cast("npt.NDArray[np.uint8]", values)
        wide = cast("npt.NDArray[np.uint16]", values)
        if values.dtype != np.uint16 or not ((wide >> 8 == wide & 255).all() or (wide < 256).all()):
            raise self.error(
                f"its colours are {values.dtype}, not 8 bits; export this mask as an RGB PNG"
            )
        return (wide & 255).astype(np.uint8)

    def _as_grey(self, colours: npt.NDArray[np.uint32]) -> Array:
        grey = colours & 255
        if not np.array_equal(grey * 0x010101, colours):
            raise self.error(
                "it holds colours, and `threshold` in dataset.yaml is for grey masks; leave it out"
            )
        return grey

    def _integers(self, values: Array) -> npt.NDArray[np.integer]:
        """Return stored values as integers; what is not a number of 32 bits becomes `NAN`."""
        if values.dtype.kind == "b":
            return values.astype(np.uint8) * np.uint8(255)
        if values.dtype.kind != "f":
            integers = cast("npt.NDArray[np.integer]", values)
            return integers.astype(np.int64) if integers.dtype == np.uint64 else integers
        floats = cast("npt.NDArray[np.floating]", values)
        if floats.dtype.itemsize < 4:
            floats = floats.astype(np.float32)
        is_number = np.abs(floats) < 2**31  # NaN is not
        filled = np.where(is_number, floats, 0)
        whole: npt.NDArray[np.int32] = filled.astype(np.int32)
        fractions = np.unique(filled[whole != filled])
        if fractions.size:
            listed = fractions[:: -(-fractions.size // 3)]
            shown = ", ".join(f"{float(value):.4g}" for value in listed)
            half = np.format_float_positional((filled.min() + filled.max()) / 2, 3, trim="-")
            raise self.error(
                f"the file holds fractions such as {shown}, not class ids; if this is a soft mask, "
                f"write `threshold: {half}` in dataset.yaml, which makes this value and all above "
                "it the foreground and the others the background"
            )
        whole[~is_number] = NAN
        return whole


def pack_colours(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Pack uint8 (H, W, 3) into uint32 (H, W) 0xRRGGBB."""
    packed = rgb[..., 0].astype(np.uint32)
    packed <<= 8
    packed |= rgb[..., 1]
    packed <<= 8
    packed |= rgb[..., 2]
    return packed
