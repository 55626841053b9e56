"""The heap: freed memory goes back to the system, now and then.

glibc keeps what a request frees for the next one, in an arena for each thread that allocates. After
a peak of large images that is most of the process, and other programs on the machine miss it.
OpenVINO keeps what its runs needed, so models that rest give it back first.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

from maskzoo.models.engines.openvino import release_idle

EVERY_S = 30.0


def find_trim() -> Callable[[], object] | None:
    """Return the function that gives free pages back; None where the system has none."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return None

    def trim() -> None:
        release_idle()  # first: what models have given back is freed memory
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
