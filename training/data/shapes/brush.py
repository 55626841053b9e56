"""Label Studio's brush strokes: RGBA images in the bit stream of thi.ng's rle-pack.

Format: https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack. The stream begins with
the number of words (32 bits), the size of a word less one (5 bits), and four sizes of counts less
one (4 bits each). Blocks follow: a bit that tells a run from words of their own, two bits for the
size of the count, the count less one, and the word or the words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_WORD = 8  # bits: the bytes of an image


def unpack_brush(data: Sequence[int], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels of brush strokes, bool (H, W): those that are not transparent.

    Args:
        data: the bytes of the stream.
        size: (H, W) of the image that they were made on.

    Raises:
        ValueError: the stream is damaged, or of another size.
    """
    try:
        stream = _Bits(bytes(data))
    except (TypeError, ValueError):
        raise ValueError("the brush strokes are not a list of bytes") from None
    number = stream.take(32)
    if number != 4 * size[0] * size[1]:
        raise ValueError(f"brush strokes of {number} bytes for an image of {size[1]} x {size[0]}")
    if stream.take(5) + 1 != _WORD:
        raise ValueError("the words of the brush strokes are not bytes")
    sizes = [stream.take(4) + 1 for _ in range(4)]
    result = np.zeros(number, np.uint8)
    place = 0
    while place < number:
        is_run = stream.take(1)
        count = stream.take(sizes[stream.take(2)]) + 1
        end = min(place + count, number)
        result[place:end] = stream.take(_WORD) if is_run else stream.words(end - place)
        place = end
    alpha: npt.NDArray[np.bool_] = result.reshape(*size, 4)[..., 3] > 0
    return alpha


class _Bits:
    """Bits of bytes, the highest first."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self._place = 0

    def _next(self, count: int) -> npt.NDArray[np.uint8]:
        start, self._place = self._place, self._place + count
        if self._place > len(self._bits):
            raise ValueError("the brush strokes end too early")
        return self._bits[start : self._place]

    def take(self, count: int) -> int:
        """Return the next bits as a number."""
        return int.from_bytes(np.packbits(self._next(count)).tobytes()) >> (-count % 8)

    def words(self, count: int) -> npt.NDArray[np.uint8]:
        """Return the next bytes."""
        return np.packbits(self._next(count * _WORD))
