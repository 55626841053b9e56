"""The heap: few arenas, and freed memory goes back to the system now and then.

glibc keeps what a request frees for the next one, in an arena for each thread that allocates, up to
eight for each core. After a peak of large images that is most of the process, and other programs on
the machine miss it. A page goes back only if nothing on it is in use, so the same blocks in many
arenas keep many pages. Two arenas left 95 MB less than all of them after two minutes of mixed
images on two cores; threads have caches of small blocks, so they do not wait for each other.
OpenVINO keeps what its runs needed, so models that rest give it back first.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable

EVERY_S = 30.0

_ARENA_MAX = -8  # of mallopt(3)
_ARENAS = 2


def limit_arenas() -> bool:
    """Let new threads share two arenas; False where the C library has none (musl, macOS).

    `MALLOC_ARENA_MAX` in the environment counts more.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_ARENA_MAX, _ARENAS) == 1)


def find_trim() -> Callable[[], object] | None:
    """Return the function that gives free pages back; None where the system has none."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return None

    def trim() -> None:
        openvino = sys.modules.get("maskzoo.models.engines.openvino")
        if openvino is not None:  # first: what models have given back is freed memory
            openvino.release_idle()
        malloc_trim(0)

    return trim


async def keep_small(
    trim: Callable[[], object] | None = None, *, every_s: float | None = None
) -> None:
    """Give free pages back now and then until cancelled; in a thread, as it may take 0.1 s."""
    trim = trim or find_trim()
    while trim is not None:
        await asyncio.sleep(EVERY_S if every_s is None else every_s)
        await asyncio.to_thread(trim)
