"""JPEG: the fast decoder, and two checks that it needs because libjpeg makes neither.

*Scans.* A progressive file may have any number of scans, and each one goes over the whole image:
24 000 of 93 bytes keep a core busy for minutes. Encoders write about ten; `MAX_SCANS` are allowed.

*Missing pixels.* libjpeg fills up what a scan lacks and only warns, which neither OpenCV nor Pillow
passes on. So a file that was cut off and closed again by an end marker, or that announces more
rows than it holds, would decode to an image with a flat end. `check_complete` finds it in two
steps. The cheap one: the missing end of a sequential scan is flat, so an image whose bottom right
corner is not flat is complete. Where this leaves a doubt, and for progressive files, whose last
scans refine pixels that are all there, the file is decoded twice: as it is, and with filler bytes
behind each scan. A complete scan never reads them and the pixels are equal.

Source: ITU-T T.81 (markers: table B.1; frame and scan headers: B.2.2, B.2.3; progression: G.1.1).
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import JpegImagePlugin

from maskzoo.models.errors import ImageDamagedError, ImageFormatError

MAX_SCANS = 200
"""Scans of one image that are decoded."""

_SOI, _EOI, _SOS, _DRI, _TEM = 0xD8, 0xD9, 0xDA, 0xDD, 0x01
_RESTARTS = range(0xD0, 0xD8)
_SEQUENTIAL = (0xC0, 0xC1)  # with Huffman codes, as _PROGRESSIVE
_PROGRESSIVE = 0xC2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # restart markers belong to a scan
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
# More than the blocks of one unit take (6 of up to 208 bytes); 0xff would begin a marker.
_FILLER = bytes((37 * index + index // 251) % 251 for index in range(4096))
_NO_BITS = 255
_BLOCK = 8
_SMALL = 1 << 14  # pixels: decoding so few once more takes less than a millisecond


@dataclass(frozen=True)
class _Scan:
    """The bytes of one scan: from behind its header to the marker that ends it."""

    start: int
    end: int
    components: tuple[int, ...]
    restart_interval: int


class JpegScans:
    """Frame and scans of the first image in a file, read from its markers.

    Attributes:
        end: the position behind the image's end marker; other images or notes may follow.
    """

    def __init__(self, data: bytes, name: str) -> None:
        """Read the markers.

        Raises:
            ImageDamagedError: the end marker is missing.
            ImageFormatError: there are more than `MAX_SCANS` scans.
        """
        self._data = data
        self._kind = 0
        self._bits = 8
        self._size = (0, 0)
        self._sampling: dict[int, tuple[int, int]] = {}
        self._missing_bits: dict[int, np.ndarray] = {}
        self._scans: list[_Scan] = []
        self.end = self._walk(data, name)

    def _walk(self, data: bytes, name: str) -> int:
        at, restart_interval = 2, 0
        while found := _MARKER.search(data, at):
            marker, at = data[found.end() - 1], found.end()
            if marker == _EOI:
                return at
            if marker in (_SOI, _TEM) or marker in _RESTARTS:
                continue  # these have no segment
            length = int.from_bytes(data[at : at + 2])
            segment, at = data[at + 2 : at + length], at + max(2, length)
            if marker in _FRAMES:
                self._read_frame(marker, segment)
            elif marker == _DRI:
                restart_interval = int.from_bytes(segment[:2])
            elif marker == _SOS:
                ended = _SCAN_END.search(data, at)
                end = len(data) if ended is None else ended.start()
                components = self._read_scan(segment)
                self._scans.append(_Scan(at, end, components, restart_interval))
                at = end
                check_num_scans(len(self._scans), name)
        raise ImageDamagedError(f"{name} is a damaged JPEG file: it has no end marker")

    def _read_frame(self, marker: int, segment: bytes) -> None:
        self._kind = marker
        self._bits = segment[0] if segment else 0
        self._size = int.from_bytes(segment[3:5]), int.from_bytes(segment[1:3])  # width, height
        for at in range(6, len(segment) - 2, 3):
            across, down = segment[at + 1] >> 4, segment[at + 1] & 15
            self._sampling[segment[at]] = max(1, across), max(1, down)
            self._missing_bits[segment[at]] = np.full(_BLOCK * _BLOCK, _NO_BITS)

    def _read_scan(self, segment: bytes) -> tuple[int, ...]:
        """Note which bits of which coefficients the scan brings; return its components."""
        count = segment[0] if segment else 0
        components = tuple(segment[1 : 1 + 2 * count : 2])
        limits = segment[1 + 2 * count :]
        if len(limits) >= 3:
            first, last, missing = limits[0], limits[1], limits[2] & 15
            for component in components:
                if component in self._missing_bits:
                    self._missing_bits[component][first : last + 1] = missing
        return components

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that the frame announces; 0 where there is none."""
        return self._size

    def may_lack_pixels(self, pixels: np.ndarray) -> bool:
        """Tell whether the decoded `pixels` (H, W, 3) give reason to decode a second time."""
        if self._kind not in (*_SEQUENTIAL, _PROGRESSIVE):
            return False  # arithmetic codes: a complete scan may leave zeros at its end out
        if self._bits != 8 or len(self._sampling) == 2:
            return False  # in a TIFF; Pillow reads neither
        if self._kind == _PROGRESSIVE or len(self._scans) != 1:
            return (
                True  # a scan of one component, or of some bits, may end early: no corner is flat
            )
        return _is_corner_flat(pixels) or pixels.size < 3 * _SMALL

    def lack_pixels(self, pixels: np.ndarray) -> bool:
        """Tell whether a scan ends before its last pixel, or a component has no scan at all.

        Args:
            pixels: as decoded; if Pillow gives the same RGB with filler, nothing is missing.
        """
        if any(bits[0] == _NO_BITS for bits in self._missing_bits.values()):
            return True
        if any(self._lacks_restarts(scan) for scan in self._scans):
            return True
        # In a sequential scan, filler changes the means of the blocks already.
        is_sequential = self._kind != _PROGRESSIVE and len(self._scans) == 1
        rough = is_sequential and math.prod(self._size) > _SMALL
        filled = _by_pillow(self._with_filler(), rough=rough)
        if not rough and np.array_equal(np.asarray(filled.convert("RGB")), pixels):
            return False
        stored = _by_pillow(self._data[: self.end], rough=rough)
        return not np.array_equal(np.asarray(filled), np.asarray(stored))

    def _lacks_restarts(self, scan: _Scan) -> bool:
        """Tell whether intervals are missing; the decoder would not read filler in their place."""
        if not scan.restart_interval:
            return False
        widest = max((across for across, _ in self._sampling.values()), default=1)
        tallest = max((down for _, down in self._sampling.values()), default=1)
        across, down = 1, 1  # blocks of a unit: of each component together, or of one alone
        if len(scan.components) == 1:
            across, down = self._sampling.get(scan.components[0], (1, 1))
            across, down = widest // across, tallest // down
        else:
            across, down = widest, tallest
        width, height = self._size
        units = math.ceil(width / (_BLOCK * across)) * math.ceil(height / (_BLOCK * down))
        restarts = len(_RESTART.findall(self._data, scan.start, scan.end))
        return restarts + 1 < math.ceil(units / scan.restart_interval)

    def _with_filler(self) -> bytes:
        parts, at = [], 0
        for scan in self._scans:
            # A marker may have any number of 0xff before it; filler there would make new markers.
            scanned = self._data[at : scan.end].rstrip(b"\xff")
            parts += [scanned, _FILLER]
            at = scan.end
        return b"".join([*parts, self._data[at : self.end]])


def check_num_scans(count: int, name: str) -> None:
    """Refuse more than `MAX_SCANS` scans.

    Raises:
        ImageFormatError: there are more.
    """
    if count > MAX_SCANS:
        raise ImageFormatError(
            f"{name} has more than {MAX_SCANS} scans, which would take too long to decode; save it "
            "as a baseline JPEG"
        )


def segment_scans(
    data: bytes, tables: bytes | None, *, max_size: tuple[int, int], name: str
) -> JpegScans:
    """Return the scans of the JPEG of one strip or tile of a TIFF.

    Args:
        data: of the segment, without the tables that it shares with others.
        tables: the value of the tag JPEGTables.
        max_size: width and height that the segment may have.

    Raises:
        ImageDamagedError: the end marker is missing, or it announces another size.
        ImageFormatError: there are more than `MAX_SCANS` scans.
    """
    check_num_scans(data.count(b"\xff\xda"), name)
    scans = JpegScans(data[:2] + tables[2:-2] + data[2:] if tables else data, name)
    (width, height), (most_across, most_down) = scans.size, max_size
    if width > most_across or height > most_down:
        raise ImageDamagedError(
            f"{name} is a damaged JPEG file: it announces {width} x {height} pixels and has room "
            f"for {most_across} x {most_down}"
        )
    return scans


def check_complete(scans: JpegScans, pixels: np.ndarray, name: str) -> None:
    """Refuse an image that lacks some of the `pixels` (H, W, 3) that were decoded from it.

    Raises:
        ImageDamagedError: pixels are missing.
    """
    if scans.may_lack_pixels(pixels) and scans.lack_pixels(pixels):
        height, width = pixels.shape[:2]
        raise ImageDamagedError(
            f"{name} is a damaged JPEG file: it holds fewer pixels than the {width} x {height} "
            "that it announces"
        )


def decode_fast(data: bytes, scans: JpegScans, size: tuple[int, int]) -> np.ndarray | None:
    """Decode a JPEG of (width, height) by OpenCV, or return None where Pillow must judge.

    Both use libjpeg-turbo and give equal pixels (a test compares them); OpenCV saves the copy out
    of Pillow's four-byte pixels.
    """
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8, scans.end), flags)
    except cv2.error:
        return None
    if pixels is None or pixels.shape != (size[1], size[0], 3):
        return None
    return pixels


def _is_corner_flat(pixels: np.ndarray) -> bool:
    """Tell whether the last block, of up to 8 x 8 pixels, has one colour.

    Its first row and column are left out where there are others: colours of half the resolution
    are blended there with those of the blocks before.
    """
    top, left = (min(side - 1, (side - 1) // _BLOCK * _BLOCK + 1) for side in pixels.shape[:2])
    return bool((pixels[top:, left:] == pixels[-1, -1]).all())


def _by_pillow(data: bytes, *, rough: bool) -> JpegImagePlugin.JpegImageFile:
    """Decode as stored, or grey and at an eighth of the size if `rough`.

    By Pillow, which keeps libjpeg's warnings, here of the filler, off the console.
    """
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    if rough:
        image.draft("L", (max(1, image.width // _BLOCK), max(1, image.height // _BLOCK)))
    image.load()
    return image
