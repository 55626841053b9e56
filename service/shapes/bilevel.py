"""PNG of one class, 255 where it is and 0 elsewhere, written from its runs without any pixels.

A grey row of a PNG is a filter byte, 0 here, and its pixels: bytes that the deflate format
(RFC 1951) says by runs as well: a byte once, then "the last one again" up to 258 times. With one
set of codes for all files, made for such rows, the file follows from the runs by array work. It is
read by everyone, and takes a fraction of the time of zlib.

Shapes: R runs; S symbols of the deflate stream.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from maskzoo.service.shapes.runs import LabelRuns

_LONGEST = 258  # bytes of one "again"
_ADLER = 65521


def encode_class(runs: LabelRuns, label: int) -> bytes:
    """Return a grey 8-bit PNG of the map's size."""
    starts, lengths = _rows_of(runs, label)
    total = runs.height * (runs.width + 1)  # with the filter bytes
    data = b"\x78\x01" + _deflate(starts, lengths, total) + _checksum(starts, lengths, total)
    header = struct.pack(">IIBBBBB", runs.width, runs.height, 8, 0, 0, 0, 0)
    parts = [_chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _rows_of(runs: LabelRuns, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and lengths of the white runs in the stream of rows; none crosses a row."""
    starts, lengths = runs.rows.of_label(label)
    width = runs.width
    first, last = starts // width, (starts + lengths - 1) // width
    pieces = last - first + 1
    row = np.repeat(first, pieces) + _count_up(pieces)
    begin = np.maximum(np.repeat(starts, pieces), row * width)
    end = np.minimum(np.repeat(starts + lengths, pieces), (row + 1) * width)
    return begin + row + 1, end - begin


def _deflate(starts: np.ndarray, lengths: np.ndarray, total: int) -> bytes:
    """Return one block for `total` bytes that are 255 in the runs and 0 elsewhere."""
    edges = np.empty(2 * len(starts) + 1, np.int64)  # black, white, black …
    edges[0], edges[1::2], edges[2::2] = 0, starts, starts + lengths
    sizes = np.diff(edges, append=total)
    is_white = np.arange(len(sizes)) % 2 == 1
    kept = sizes > 0
    sizes, is_white = sizes[kept], is_white[kept]
    full, rest = np.divmod(sizes - 1, _LONGEST)
    # Of each run: the byte, `full` times 258 more, and the rest; 1 or 2 are bytes again.
    count = 1 + full + np.where(rest >= 3, 1, rest)
    place = _count_up(count)
    run = np.repeat(np.arange(len(sizes)), count)
    again = np.where(place <= full[run], _LONGEST, rest[run])
    is_again = (place > 0) & (again >= 3)
    again = np.where(is_again, again, 0)
    bits = np.where(is_again, _AGAIN_BITS[again], _BYTE_BITS[is_white[run].astype(int)])
    widths = np.where(is_again, _AGAIN_WIDTHS[again], _BYTE_WIDTHS[is_white[run].astype(int)])
    return _pack(
        np.concatenate([_HEADER[:, 0], bits, [_END[0]]]),
        np.concatenate([_HEADER[:, 1], widths, [_END[1]]]),
    )


def _pack(bits: np.ndarray, widths: np.ndarray) -> bytes:
    """Put symbols (S,) of at most 32 bits one after the other, the lowest bit first."""
    ends = np.cumsum(widths)
    begins = ends - widths
    word, shift = begins >> 5, (begins & 31).astype(np.uint64)
    value = bits.astype(np.uint64) << shift
    num_words = int(ends[-1] >> 5) + 2
    # Symbols share no bits, so adding is joining; float64 holds sums below 2 ** 32 exactly.
    low = np.bincount(word, weights=value & 0xFFFFFFFF, minlength=num_words)
    high = np.bincount(word + 1, weights=value >> 32, minlength=num_words)
    packed = (low + high).astype("<u4").tobytes()
    return packed[: -(-int(ends[-1]) // 8)]


def _checksum(starts: np.ndarray, lengths: np.ndarray, total: int) -> bytes:
    """Return Adler-32 (RFC 1950) of the bytes: their sum, and the sum of all sums on the way."""
    plain = 1 + 255 * int(lengths.sum())
    # A byte at i counts in the sums of the bytes from i on: total - i of them.
    weights = lengths * (total - starts) - lengths * (lengths - 1) // 2
    sums = total + 255 * int((weights % _ADLER).sum())
    return struct.pack(">HH", sums % _ADLER, plain % _ADLER)


def _count_up(counts: np.ndarray) -> np.ndarray:
    """Return 0, 1 … count - 1 for each count, one after the other."""
    ends = np.cumsum(counts)
    numbers = np.arange(ends[-1] if len(ends) else 0)
    result: np.ndarray = numbers - np.repeat(ends - counts, counts)
    return result


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _codes(widths: dict[int, int]) -> dict[int, int]:
    """Return the code of each symbol, lowest bit first, from its width (RFC 1951, 3.2.2)."""
    found, code, last = {}, 0, 0
    for symbol in sorted(widths, key=lambda symbol: (widths[symbol], symbol)):
        code <<= widths[symbol] - last
        last = widths[symbol]
        found[symbol] = int(f"{code:0{last}b}"[::-1], 2)
        code += 1
    return found


# The widths of the codes: 258 times again is what most rows are made of, then the two bytes.
_WIDTHS = {0: 3, 255: 3, 256: 4, **dict.fromkeys(range(257, 285), 6), 285: 2}
_CODES = _codes(_WIDTHS)
_END = (_CODES[256], _WIDTHS[256])
_BYTE_BITS = np.array([_CODES[0], _CODES[255]])
_BYTE_WIDTHS = np.array([_WIDTHS[0], _WIDTHS[255]])


def _write_header() -> np.ndarray:
    """Return bits and their number (S, 2): the last block, of these codes (RFC 1951, 3.2.7)."""
    of_widths = {6: 1, 2: 3, 3: 3, 18: 3, 1: 4, 4: 4}  # codes for the widths of codes; 18: zeros
    codes = _codes(of_widths)
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    parts = [(0b101, 3), (286 - 257, 5), (0, 5), (len(order) - 4, 4)]
    parts += [(of_widths.get(symbol, 0), 3) for symbol in order]

    def code(width: int) -> tuple[int, int]:
        return codes[width], of_widths[width]

    def zeros(count: int) -> list[tuple[int, int]]:
        return [code(18), (count - 11, 7)]

    parts += [code(_WIDTHS[0]), *zeros(138), *zeros(254 - 138)]
    parts += [code(_WIDTHS[symbol]) for symbol in range(255, 286)]
    return np.array([*parts, code(1)])  # the only distance, 1, has a code of one bit


def _again_codes() -> tuple[np.ndarray, np.ndarray]:
    """Return bits and their number for "the last byte again", by how often: 3 … 258.

    RFC 1951, 3.2.5: symbols 257 … 264 are 3 … 10, then four symbols for each number of extra bits
    from 1 to 5, and 285 is 258. The bit of the distance follows.
    """
    bits, widths = np.zeros(_LONGEST + 1, np.int64), np.zeros(_LONGEST + 1, np.int64)
    for length in range(3, _LONGEST + 1):
        symbol, num_extra = 254 + length, 0
        if length == _LONGEST:
            symbol = 285
        elif length > 10:
            num_extra = (length - 3).bit_length() - 3
            symbol = 257 + 4 * num_extra + ((length - 3) >> num_extra)
        extra = (length - 3) & ((1 << num_extra) - 1)
        bits[length] = _CODES[symbol] | extra << _WIDTHS[symbol]
        widths[length] = _WIDTHS[symbol] + num_extra + 1
    return bits, widths


_HEADER = _write_header()
_AGAIN_BITS, _AGAIN_WIDTHS = _again_codes()
