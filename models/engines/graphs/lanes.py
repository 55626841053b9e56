"""The lanes of a device: buffers for batches that are on their way at the same time.

    host -> device on a stream of its own; run; device -> host on a third stream

While one lane's batch runs, the next lane's pixels are copied to the device and the last one's
masks back. A lane's buffers are used again only after its results were waited for.
"""

from __future__ import annotations

import math
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from maskzoo.models.engines.graphs.device import GraphDevice, Outputs


class Buffer:
    """Memory that grows to the largest tensor it ever held.

    Args:
        make: returns uint8 (count,).
    """

    def __init__(self, make: Callable[[int], Tensor]) -> None:
        self._make = make
        self._bytes: Tensor | None = None

    @property
    def num_bytes(self) -> int:
        """Its size."""
        return 0 if self._bytes is None else self._bytes.numel()

    def shaped(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return its memory as a tensor; the content is what was there."""
        need = math.prod(shape) * dtype.itemsize
        if self._bytes is None or self._bytes.numel() < need:
            self._bytes = None  # freed before the larger one is made
            self._bytes = self._make(need)
        return self._bytes[:need].view(dtype).view(*shape)


class Lane:
    """The buffers of one batch: pixels in, up to three tensors out.

    Attributes:
        outputs: of the run, in memory of the stream `run`; held until they were copied.
    """

    def __init__(self, device: GraphDevice) -> None:
        self.host_pixels = Buffer(device.host_bytes)
        self.pixels = Buffer(device.device_bytes)
        self.host_results = [Buffer(device.host_bytes) for _ in range(3)]
        self.outputs: Outputs = ()


class Lanes:
    """A number of lanes, and the streams of copies and runs.

    Args:
        count: batches on their way at once: one is copied in, one runs, one is copied out.
    """

    def __init__(self, device: GraphDevice, count: int = 3) -> None:
        self.up, self.run, self.down = device.stream(), device.stream(), device.stream()
        self._all = [Lane(device) for _ in range(count)]
        self._free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for lane in self._all:
            self._free.put(lane)

    @property
    def num_bytes(self) -> int:
        """Of the device's memory."""
        return sum(lane.pixels.num_bytes for lane in self._all)

    @contextmanager
    def take(self) -> Iterator[Lane]:
        """Hold a lane; waits for one where all are on their way."""
        lane = self._free.get()
        try:
            yield lane
        except BaseException:
            for stream in (self.up, self.run, self.down):
                stream.record().wait()  # nothing may use the buffers of a batch that failed
            raise
        finally:
            lane.outputs = ()
            self._free.put(lane)
