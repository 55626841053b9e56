"""Image files made in memory, for the tests of the decoder."""

from __future__ import annotations

import io
import re
import struct
import zlib

import cv2
import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 12, 20
ORIENTATION = 0x0112


def scene(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return a smooth RGB image whose corners all differ."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / max(1, width - 1), 255 * y / max(1, height - 1)
    blue = 255 * (x + y) / max(1, height + width - 2)
    return np.stack([red, green, 255 - blue], axis=-1).astype(np.uint8)


def noise(height: int = 120, width: int = 160) -> Image.Image:
    """Return an image without a flat block."""
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(cv2.GaussianBlur(values, (0, 0), 2))


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """Return the file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def with_orientation(image: Image.Image, file_format: str, value: int, **options: object) -> bytes:
    """Return a file whose EXIF orientation is `value`."""
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return encode(image, file_format, exif=exif, **options)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """Return a PNG from raw samples; `extra` are chunks before the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    stride = len(rows) // height
    lines = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height))
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))]
    parts += [chunk(item[:4], item[4:]) for item in extra]
    parts += [chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_scans(count: int) -> bytes:
    """Return a progressive JPEG one of whose scans is repeated until there are `count`.

    It is the one that refines the means of the blocks: the only one that can be read repeatedly.
    """
    data = encode(noise(), "JPEG", progressive=True)
    scans = data.count(b"\xff\xda")
    start = data.rindex(b"\xff\xda", 0, data.index(b"\0\0\x10"))
    repeated = data[start : start + re.search(rb"\xff[^\0\xda]", data[start + 2 :]).start() + 2]
    return data[:-2] + repeated * (count - scans) + b"\xff\xd9"


def with_strip(data: bytes, strip: bytes) -> bytes:
    """Return a TIFF of one strip or tile with other bytes in its place."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        entries = page.tags[324 if page.is_tiled else 273], page.tags[325 if page.is_tiled else 279]
    changed = bytearray(data + strip)
    for entry, value in zip(entries, (len(data), len(strip)), strict=True):
        changed[entry.offset : entry.offset + 12] = struct.pack("<HHII", entry.code, 4, 1, value)
    return bytes(changed)
