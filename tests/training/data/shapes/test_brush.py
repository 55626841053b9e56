from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.training.data.shapes.brush import unpack_brush

COUNTS = (3, 4, 8, 16)  # bits


def pack(mask: np.ndarray, seed: int = 0) -> list[int]:
    """Return brush strokes in the stream of rle-pack, as text of bits: runs and words at random."""
    rng = np.random.default_rng(seed)
    data = np.repeat(mask.ravel(), 4).astype(int) * 255
    bits = f"{len(data):032b}{7:05b}" + "".join(f"{count - 1:04b}" for count in COUNTS)
    place = 0
    while place < len(data):
        size = int(rng.integers(4))
        most = min(1 << COUNTS[size], len(data) - place)
        run = int(np.argmin(np.append(data[place : place + most] == data[place], False)))
        count = run if run > 1 else int(rng.integers(1, most + 1))
        words = data[place : place + (1 if run > 1 else count)]
        bits += f"{int(run > 1)}{size:02b}{count - 1:0{COUNTS[size]}b}"
        bits += "".join(f"{int(word):08b}" for word in words)
        place += count
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.floats(0, 1), st.integers(1, 20), st.integers(1, 20))
def test_strokes_are_what_was_packed(seed: int, fraction: float, height: int, width: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < fraction
    assert np.array_equal(unpack_brush(pack(mask, seed), (height, width)), mask)


def test_damaged_strokes_and_those_of_another_size_are_refused() -> None:
    data = pack(np.ones((4, 5)))
    with pytest.raises(ValueError, match="80 bytes for an image of 9 x 9"):
        unpack_brush(data, (9, 9))
    with pytest.raises(ValueError, match="end too early"):
        unpack_brush(data[:-2], (4, 5))
    with pytest.raises(ValueError, match="not a list of bytes"):
        unpack_brush([300], (4, 5))
