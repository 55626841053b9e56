"""Files whose decoding is bounded by their size and by their pixels, told from their markers.

Most files that people send are of this kind: a PNG, a baseline JPEG of one scan, a BMP of plain
pixels. Their decoders go over each byte and each pixel once, so a small one ends soon, whatever is
in it. All others may keep a decoder busy for minutes, or fill the memory, from a few bytes: scans
over the same pixels, frames, chunks without number, codes that expand a thousandfold.

Sources: ITU-T T.81, annex B (JPEG); the PNG specification, section 5; the header of BMP version 3.
"""

from __future__ import annotations

import re

MAX_PLAIN_BYTES = 4 * 2**20
"""Of a file: a thousand parts and a scan through the rest are a matter of milliseconds."""

MAX_PLAIN_PIXELS = 2**22
"""Of an image: decoding takes a tenth of a second or two."""

_MAX_PARTS = 1000  # chunks or segments
_MIN_PART = 12  # bytes of a PNG's chunk: length, kind, checksum
_PNG = b"\x89PNG\r\n\x1a\n"
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_BASELINE = (0xC0, 0xC1)  # sequential, with Huffman codes
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # restart markers belong to a scan


def is_plain(data: bytes) -> bool:
    """Return whether decoding these bytes is bounded by their number and that of the pixels.

    A file that is damaged or of another format is not plain.
    """
    if len(data) > MAX_PLAIN_BYTES:
        return False
    size = _png_size(data) or _jpeg_size(data) or _bmp_size(data)
    return size is not None and 0 < size[0] * size[1] <= MAX_PLAIN_PIXELS


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a PNG of not too many chunks."""
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    at = len(_PNG)
    for _ in range(_MAX_PARTS):
        if at + _MIN_PART > len(data) or data[at + 4 : at + 8] == b"IEND":
            return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        at += _MIN_PART + int.from_bytes(data[at : at + 4])
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a sequential JPEG of one scan."""
    if data[:2] != b"\xff\xd8":
        return None
    at, size = 2, None
    for _ in range(_MAX_PARTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return None
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in _BASELINE:
            size = int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        elif marker == _SOS:
            ended = _SCAN_END.search(data, at + 2 + length)
            is_only = ended is not None and data[ended.end() - 1] == _EOI
            return size if is_only else None
        at += 2 + max(2, length)
    return None


def _bmp_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a BMP that is not compressed."""
    if data[:2] != b"BM" or len(data) < 54 or any(data[30:34]):
        return None
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    return abs(width), abs(height)
