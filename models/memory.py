"""Memory: recognising out-of-memory errors, and keeping freed blocks in the process.

glibc returns large blocks to the system when they are freed, and the system clears each page again
in the next step. On a CPU that took 7 % of a training step (U-Net, AVX-512, two cores). Torch's
CUDA allocator keeps its memory for the same reason.
"""

from __future__ import annotations

import ctypes

from maskzoo.models.errors import ZooError

# Messages of allocators whose errors have no class of their own: torch on a CPU, CUDA and cuDNN,
# OpenVINO and ONNX Runtime, OpenCV. The tests hold the full texts.
_LACKS = (
    "can't allocate memory",
    "not enough memory",  # torch on Windows
    "out of memory",
    "alloc_failed",
    "failed to allocate",
    "insufficient memory",
)

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)
_LARGEST = 2**31 - 1  # mallopt takes an int
_MORE = 64 * 2**20


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of torch, an engine, OpenCV or NumPy means a lack of memory.

    A `ZooError` never does: it already says what to do.
    """
    if isinstance(error, ZooError):
        return False
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return any(lack in text for lack in _LACKS)


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory; return whether it can (glibc)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    wishes = ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _LARGEST), (_TOP_PAD, _MORE))
    return [mallopt(name, value) for name, value in wishes] == [1, 1, 1]
