"""What the parts of `benchmarks/gpu.py` share: the device, sizes, a clock, and the time left."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from maskzoo.models.engines.graphs.device import GraphDevice, open_device
from maskzoo.models.preprocessing import Preprocessing

ROOT = Path(__file__).resolve().parents[2]
CLASSES = 19
PREPROCESSING = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

Row = dict[str, object]
"""A measurement: plain values by name; `error` says why there is none."""


@dataclass(frozen=True)
class Setup:
    """How a part measures.

    Args:
        device: that is measured.
        quick: tiny sizes, to see that every line runs.
        out: the folder of logs.
        until: the time (`time.monotonic`) at which the part begins nothing new.
    """

    device: torch.device
    quick: bool
    out: Path
    until: float

    @property
    def side(self) -> int:
        """Height and width of the images."""
        return 64 if self.quick else 512

    @property
    def encoder(self) -> str:
        """The encoder of all networks."""
        return "tu-resnet10t" if self.quick else "resnet50"

    @property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes, the most telling first."""
        return (1, 2) if self.quick else (1, 32, 8)

    @property
    def is_late(self) -> bool:
        """Whether the part's time is over."""
        return time.monotonic() > self.until

    def graphs(self) -> GraphDevice:
        """Return what captures graphs; on a CPU the device of the tests, which only pretends."""
        if self.device.type == "cuda":
            return open_device(self.device)
        sys.path.append(str(ROOT))
        from tests.models.engines.graphs.fake import LateDevice

        return LateDevice()

    def wait(self) -> None:
        """Wait until the device has done everything."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def ms(self, work: Callable[[], object], *, warm: int = 3) -> float:
        """Return milliseconds of one call, over as many as fit into a fraction of a second."""
        for _ in range(1 if self.quick else warm):
            work()
        self.wait()
        calls, begin = 0, time.perf_counter()
        at_once = 1 if self.quick else 4
        while time.perf_counter() - begin < (0.0 if self.quick else 0.4) or not calls:
            for _ in range(at_once):  # the device is kept busy, and not waited for after each call
                work()
            calls += at_once
            self.wait()
        return (time.perf_counter() - begin) / calls * 1e3

    def peak_mib(self, work: Callable[[], object]) -> float | None:
        """Return how far `work` raises the device's memory; None where that is not counted."""
        if self.device.type != "cuda":
            work()
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        work()
        self.wait()
        return (torch.cuda.max_memory_allocated(self.device) - before) / 2**20


@contextmanager
def cleared() -> Iterator[None]:
    """Return a context after which the device's memory is free again."""
    try:
        yield
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def reason(error: BaseException) -> str:
    """Return an error as one short line."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:200].replace("|", "/")


def shown(value: object, digits: int = 2) -> str:
    """Return a value for a table; a missing one is a dash."""
    if value is None or value == "":
        return "–"  # noqa: RUF001
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
