"""Label maps -> images: an indexed PNG of class ids, and an overlay.

Shapes: labels (H, W) of class ids, pixels uint8 (H, W, 3) RGB.

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
    labels: np.ndarray, label_set: LabelSet, text: Mapping[str, str] | None = None
) -> bytes:
    """Encode class ids as a PNG with the palette of `label_set`.

    Up to 256 classes the pixels are 8-bit palette indices, so a viewer shows the colours and a
    program reads the ids. Above, they are 16-bit grey values without a palette.

    Args:
        labels: uint8 or uint16 (H, W).
        text: written as tEXt chunks (iTXt where a value is not Latin-1).

    Raises:
        ShapeError: `labels` is not (H, W), is empty, or has another type.
    """
    if labels.ndim != 2 or labels.size == 0 or labels.dtype not in (np.uint8, np.uint16):
        raise ShapeError(
            f"labels are {labels.dtype} {labels.shape}; a mask takes uint8 or uint16 (H, W)"
        )
    height, width = labels.shape
    wide = labels.dtype == np.uint16
    depth, kind = (16, _GREY) if wide else (8, _INDEXED)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [_SIGNATURE, _chunk(b"IHDR", header)]
    if not wide:
        chunks.append(_chunk(b"PLTE", label_set.palette().tobytes()))
    chunks.extend(_text_chunk(key, value) for key, value in (text or {}).items())
    chunks.append(_chunk(b"IDAT", _compress(labels)))
    chunks.append(_chunk(b"IEND", b""))
    return b"".join(chunks)


def overlay(
    pixels: np.ndarray, labels: np.ndarray, label_set: LabelSet, opacity: float = 0.5
) -> np.ndarray:
    """Tint `pixels` by the class colours.

    The background class, and ids without a class, are left as they are.

    Args:
        opacity: 0 shows the image only, 1 the colours only.

    Raises:
        ShapeError: the two differ in size.
    """
    if pixels.shape != (*labels.shape, 3):
        raise ShapeError(f"image is {pixels.shape} and labels are {labels.shape}; sizes must match")
    count = label_set.num_classes
    colours = _paint(labels, label_set)
    tinted = cv2.addWeighted(pixels, 1 - opacity, colours, opacity, 0)
    plain = labels >= count
    if label_set.background is not None:
        plain |= labels == label_set.background
    return cv2.copyTo(pixels, plain.view(np.uint8), tinted)


def _paint(labels: np.ndarray, label_set: LabelSet) -> np.ndarray:
    if labels.dtype == np.uint8:  # four times as fast as indexing
        return cv2.LUT(cv2.merge([labels] * 3), label_set.palette()[None])
    table = np.zeros((int(labels.max()) + 1 + label_set.num_classes, 3), np.uint8)
    table[: label_set.num_classes] = label_set.colours
    output: np.ndarray = table[labels]
    return output


def _compress(labels: np.ndarray) -> bytes:
    samples = labels if labels.dtype == np.uint8 else labels.astype(">u2").view(np.uint8)
    rows = np.empty((samples.shape[0], samples.shape[1] + 1), np.uint8)
    rows[:, 0] = _FILTER_UP
    rows[0, 1:] = samples[0]
    np.subtract(samples[1:], samples[:-1], out=rows[1:, 1:])
    packer = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    return packer.compress(rows.data) + packer.flush()


def _text_chunk(key: str, value: str) -> bytes:
    name = key.encode("latin-1", "replace")[:79]
    try:
        return _chunk(b"tEXt", name + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", name + b"\0\0\0\0\0" + value.encode())


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
