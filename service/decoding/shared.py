"""Arrays in shared memory without a name: a descriptor carries them from one process to another.

The memory can no longer shrink once it is filled, so a reader never finds it gone under its hands.
It is freed with the last array and descriptor that refer to it, whichever process is killed.

This module is imported by the decoding process and imports nothing of ours.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Sequence

import numpy as np

HAS_SHARED_MEMORY = hasattr(os, "memfd_create")
"""Only Linux has it."""

_TYPES = ("uint8", "uint16", "float16", "float32")
_ALIGN = 64

Layout = Sequence[tuple[Sequence[int], str]]
"""The shape and the type of each array, as JSON has them."""


def layout_of(arrays: Sequence[np.ndarray]) -> list[tuple[list[int], str]]:
    """Return the layout of some arrays."""
    return [(list(array.shape), str(array.dtype)) for array in arrays]


def share(arrays: Sequence[np.ndarray]) -> int:
    """Return the descriptor of shared memory with a copy of some arrays, one after the other."""
    import fcntl  # only on Unix, as everything here

    ends = _ends(layout_of(arrays))
    shared = os.memfd_create("arrays", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(shared, ends[-1])
        fcntl.fcntl(shared, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        with mmap.mmap(shared, ends[-1]) as mapped:
            for array, end in zip(arrays, ends, strict=True):
                target = np.frombuffer(mapped, array.dtype, array.size, end - array.nbytes)
                np.copyto(target.reshape(array.shape), array)
                del target
    except BaseException:
        os.close(shared)
        raise
    return shared


def attach(descriptor: int, layout: Layout) -> list[np.ndarray]:
    """Return the arrays in shared memory; the descriptor may be closed afterwards.

    Raises:
        ValueError: the memory could shrink, or does not hold arrays of that layout.
    """
    import fcntl

    for shape, dtype in layout:
        if dtype not in _TYPES or not all(type(side) is int and side > 0 for side in shape):
            raise ValueError(f"no array has the shape {shape} and the type {dtype!r}")
    if not fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
        raise ValueError("the memory is not sealed: it could shrink while it is read")
    mapped = mmap.mmap(descriptor, 0)
    arrays = []
    for (shape, dtype), end in zip(layout, _ends(layout), strict=True):
        count = math.prod(shape)
        start = end - count * np.dtype(dtype).itemsize
        arrays.append(np.frombuffer(mapped, dtype, count, start).reshape(shape))
    return arrays


def _ends(layout: Layout) -> list[int]:
    """Return where each array ends; each starts at a multiple of 64."""
    ends, end = [], 0
    for shape, dtype in layout:
        start = -(-end // _ALIGN) * _ALIGN
        end = start + math.prod(shape) * np.dtype(dtype).itemsize
        ends.append(end)
    return ends
