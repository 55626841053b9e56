"""Label maps -> images: an indexed PNG of class ids, and an overlay.

Shapes: label_map (H, W) of class ids, pixels uint8 (H, W, 3) RGB.

The PNG is written here and not by Pillow: a label map is long runs of one byte, for which zlib's
run-length strategy on rows that are subtracted from the row above is both faster and smaller than
the general search. `benchmarks/pixels.py` prints the comparison.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import cv2
import numpy as np

from maskzoo.models.errors import ShapeError
from maskzoo.models.labels import LabelSet

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _INDEXED = 0, 3
_FILTER_UP = 2


def encode_indexed_png(
    label_map: np.ndarray, labels: LabelSet, text: Mapping[str, str] | None = None
) -> bytes:
    """Encode class ids as a PNG with the palette of `labels`.

    Up to 256 classes the pixels are 8-bit palette indices, so a viewer shows the colours and a
    program reads the ids. Above, they are 16-bit grey values without a palette.

    Args:
        label_map: uint8 or uint16 (H, W).
        text: written as tEXt chunks (iTXt where a value is not Latin-1).

    Raises:
        ShapeError: `label_map` is not (H, W), is empty, or has another type.
    """
    if label_map.ndim != 2 or label_map.size == 0 or label_map.dtype not in (np.uint8, np.uint16):
        raise ShapeError(
            f"label map is {label_map.dtype} {label_map.shape}; a mask takes uint8 or uint16 (H, W)"
        )
    height, width = label_map.shape
    has_palette = label_map.dtype == np.uint8
    depth, colour_type = (8, _INDEXED) if has_palette else (16, _GREY)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = [_SIGNATURE, _chunk(b"IHDR", header)]
    if has_palette:
        chunks.append(_chunk(b"PLTE", labels.palette().tobytes()))
    chunks.extend(text_chunk(key, value) for key, value in (text or {}).items())
    chunks.append(_chunk(b"IDAT", _compress(label_map)))
    chunks.append(_chunk(b"IEND", b""))
    return b"".join(chunks)


def overlay(
    pixels: np.ndarray, label_map: np.ndarray, labels: LabelSet, opacity: float = 0.5
) -> np.ndarray:
    """Tint `pixels` by the class colours.

    The background class, and ids without a class, are left as they are.

    Args:
        opacity: 0 shows the image only, 1 the colours only.

    Raises:
        ShapeError: the two differ in size.
    """
    if pixels.shape != (*label_map.shape, 3):
        raise ShapeError(
            f"image is {pixels.shape} and label map is {label_map.shape}; sizes must match"
        )
    tinted = cv2.addWeighted(pixels, 1 - opacity, _paint(label_map, labels), opacity, 0)
    is_plain = label_map >= labels.num_classes
    if labels.background is not None:
        is_plain |= label_map == labels.background
    return cv2.copyTo(pixels, is_plain.view(np.uint8), tinted)


def _paint(label_map: np.ndarray, labels: LabelSet) -> np.ndarray:
    """Return the colour of each pixel, uint8 (H, W, 3); ids without a class are black."""
    if label_map.dtype == np.uint8:  # four times as fast as indexing
        return cv2.LUT(cv2.merge([label_map] * 3), labels.palette()[None])
    table = np.zeros((int(label_map.max()) + 1 + labels.num_classes, 3), np.uint8)
    table[: labels.num_classes] = labels.colours
    colours: np.ndarray = table[label_map]
    return colours


def _compress(label_map: np.ndarray) -> bytes:
    """Return the compressed rows, each less the row above it: of a label map these are mostly 0."""
    samples = label_map if label_map.dtype == np.uint8 else label_map.astype(">u2").view(np.uint8)
    rows = np.empty((samples.shape[0], samples.shape[1] + 1), np.uint8)
    rows[:, 0] = _FILTER_UP
    rows[0, 1:] = samples[0]
    np.subtract(samples[1:], samples[:-1], out=rows[1:, 1:])
    packer = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    return packer.compress(rows.data) + packer.flush()


def text_chunk(key: str, value: str) -> bytes:
    """Return a tEXt chunk of a PNG, or iTXt where the value is not Latin-1."""
    name = key.encode("latin-1", "replace")[:79]
    try:
        return _chunk(b"tEXt", name + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", name + b"\0\0\0\0\0" + value.encode())


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
