"""Sniffing: the format and the announced size of an image, from its first bytes.

Formats are recognised by their first bytes, never by a file name or a client's content type.
Sizes of GIF and WebP are read here, because Pillow's readers for these two reserve memory for
the canvas (or warn) before a caller can look at the size; those of the other formats are read by
their library, which looks at the header only.

Sources: the GIF89a specification, section 20; the WebP container specification (RFC 9649).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from maskzoo.models.errors import ImageDamagedError, ImageFormatError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""The allow-list; nothing else is ever given to a decoder."""

_HEAD_BYTES = 32
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_REFUSED = (
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"PK\3\4", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"<?xml", "XML or SVG"),
    (0, b"<svg", "SVG"),
    (0, b"<!DOCTYPE", "HTML"),
    (0, b"<html", "HTML"),
    (0, b"\x93NUMPY", "NumPy"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftyp", "MP4"),
)


def sniff_format(stream: BinaryIO, name: str) -> str:
    """Return the format of the image in `stream`, one of `FORMATS`.

    Raises:
        ImageFormatError: the first bytes match no allowed format.
    """
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    for signature, file_format in _SIGNATURES:
        if head.startswith(signature):
            return file_format
    allowed = ", ".join(FORMATS)
    if not head:
        raise ImageFormatError(f"{name} is empty; send one of {allowed}")
    for offset, signature, other in _REFUSED:
        if head[offset:].startswith(signature):
            raise ImageFormatError(f"{name} is {other}, which is not supported; convert it to PNG")
    raise ImageFormatError(f"{name} is not a readable image; allowed are {allowed}")


def webp_size(stream: BinaryIO, name: str) -> tuple[int, int]:
    """Return (width, height) of a WebP canvas from its first chunk."""
    stream.seek(0)
    head = stream.read(30)
    chunk = head[12:16]
    if len(head) == 30 and chunk == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if len(head) == 30 and chunk == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if len(head) >= 25 and chunk == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise ImageDamagedError(f"{name} is a WebP file without a readable header")


def gif_size(stream: BinaryIO, name: str) -> tuple[int, int]:
    """Return (width, height) of a GIF's canvas, extended by its first frame as Pillow does."""
    stream.seek(0)
    head = stream.read(13)
    try:
        width, height, flags = struct.unpack("<HHB", head[6:11])
        if flags & 0x80:
            stream.seek(3 << (flags & 7) + 1, 1)
        while (block := _byte(stream)) == 0x21:  # extensions before the first frame
            _byte(stream)
            while length := _byte(stream):
                stream.seek(length, 1)
        if block != 0x2C:
            raise ImageDamagedError(f"{name} is a GIF file without a frame")
        left, top, frame_width, frame_height = struct.unpack("<HHHH", stream.read(8))
    except (struct.error, IndexError):
        raise ImageDamagedError(f"{name} is a GIF file that ends in its header") from None
    return max(width, left + frame_width), max(height, top + frame_height)


def _byte(stream: BinaryIO) -> int:
    return stream.read(1)[0]
