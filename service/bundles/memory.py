"""Measuring the memory of a model, and returning it to the system.

A torch network is measured by its tensors, which is exact, and by the graphs that it holds. Any
other engine is measured by how much the process grew while it was loaded, which includes whatever
else was allocated meanwhile.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/statm")
_PAGE_BYTES = 4096


def tensor_bytes(predictor: Any) -> int | None:
    """Return the bytes of parameters, buffers and graphs; None where the engine shows none."""
    engine = getattr(predictor, "engine", None)
    network = getattr(engine, "network", None)
    if network is None or not hasattr(network, "parameters"):
        return None
    tensors = [*network.parameters(), *network.buffers()]
    sizes: dict[int, int] = {tensor.data_ptr(): tensor.nbytes for tensor in tensors}
    graphs: int = getattr(engine, "num_extra_bytes", 0)
    return sum(sizes.values()) + graphs  # tied weights count once


def resident_bytes() -> int:
    """Return the resident memory of the process; 0 where the system does not report it."""
    try:
        return int(_STATUS.read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def release_memory() -> None:
    """Give freed memory back to the system and the device."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)
