"""The operations of a GPU that the engine needs: streams, events, buffers, graphs.

The engine knows only the protocols. `CudaDevice` keeps them on a GPU; the tests' device keeps them
on a CPU and runs what is enqueued as late as its waits allow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

_WARM_UPS = 3  # runs before a capture, in which libraries choose algorithms and allocate
_CAPTURING = threading.Lock()  # one capture at a time in this process

Outputs = tuple[Tensor, ...]


class Event(Protocol):
    """A point in a stream."""

    def wait(self) -> None:
        """Block the calling thread, and nothing else, until the stream has reached it."""


class Stream(Protocol):
    """Work that the device does in order."""

    def do(self, work: Callable[[], None]) -> None:
        """Enqueue what `work` launches."""

    def after(self, event: Event) -> None:
        """Let what is enqueued from now on wait for an event of another stream."""

    def record(self) -> Event:
        """Return the point that all work enqueued so far ends at."""


class Graph(Protocol):
    """A captured run: it reads and writes the same memory at each replay.

    Attributes:
        outputs: what `work` returned.
        num_bytes: of device memory that it holds.
    """

    outputs: Outputs
    num_bytes: int

    def replay(self) -> None:
        """Launch it, within `Stream.do`."""


class GraphDevice(Protocol):
    """A device that captures graphs.

    Attributes:
        device: torch's name of it.
        total_bytes: of its memory.
    """

    device: torch.device
    total_bytes: int

    def stream(self) -> Stream:
        """Return a new stream."""

    def current(self) -> Stream:
        """Return the stream of the calling thread."""

    def host_bytes(self, count: int) -> Tensor:
        """Return uint8 (count,) in the host's memory, from which copies are asynchronous."""

    def device_bytes(self, count: int) -> Tensor:
        """Return uint8 (count,) zeros in the device's memory."""

    def capture(self, work: Callable[[], Outputs], stream: Stream) -> Graph:
        """Run `work` a few times and capture it.

        Raises:
            RuntimeError: it does what a graph cannot, such as reading a value on the host.
        """

    def share(self, tensor: Tensor) -> None:
        """Keep the memory of a tensor of another stream until the current stream is done."""


class CudaDevice:
    """A GPU.

    Args:
        device: such as ``cuda:0``.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.total_bytes = torch.cuda.get_device_properties(device).total_memory

    def stream(self) -> Stream:
        """Return a new stream."""
        return _CudaStream(torch.cuda.Stream(self.device))

    def current(self) -> Stream:
        """Return the stream of the calling thread."""
        return _CudaStream(torch.cuda.current_stream(self.device))

    def host_bytes(self, count: int) -> Tensor:
        """Return page-locked memory."""
        return torch.empty(count, dtype=torch.uint8, pin_memory=True)

    def device_bytes(self, count: int) -> Tensor:
        """Return memory of the GPU; it is filled before this returns."""
        zeros = torch.zeros(count, dtype=torch.uint8, device=self.device)
        torch.cuda.current_stream(self.device).synchronize()
        return zeros

    def capture(self, work: Callable[[], Outputs], stream: Stream) -> Graph:
        """Run `work` a few times and capture it in memory of its own."""
        assert isinstance(stream, _CudaStream)
        with _CAPTURING, torch.cuda.device(self.device):
            with torch.cuda.stream(stream.stream):
                for _ in range(_WARM_UPS):
                    work()
            stream.stream.synchronize()
            torch.cuda.empty_cache()
            before = torch.cuda.memory_reserved(self.device)
            graph = torch.cuda.CUDAGraph()
            # thread_local: other threads may allocate and copy meanwhile, on their own streams.
            with torch.cuda.graph(graph, stream=stream.stream, capture_error_mode="thread_local"):
                outputs = work()
            held = torch.cuda.memory_reserved(self.device) - before
        return _CudaGraph(graph, outputs, max(0, held))

    def share(self, tensor: Tensor) -> None:
        """Tell the allocator that the current stream uses the tensor."""
        tensor.record_stream(torch.cuda.current_stream(self.device))


def open_device(device: torch.device) -> GraphDevice:
    """Return the operations of a GPU."""
    return CudaDevice(device)


class _CudaStream:
    def __init__(self, stream: torch.cuda.Stream) -> None:
        self.stream = stream

    def do(self, work: Callable[[], None]) -> None:
        with torch.cuda.stream(self.stream):
            work()

    def after(self, event: Event) -> None:
        assert isinstance(event, _CudaEvent)
        self.stream.wait_event(event.event)

    def record(self) -> Event:
        # blocking: the waiting thread sleeps, where polling would take a core from the decoders
        event = torch.cuda.Event(blocking=True)
        event.record(self.stream)
        return _CudaEvent(event)


class _CudaEvent:
    def __init__(self, event: torch.cuda.Event) -> None:
        self.event = event

    def wait(self) -> None:
        self.event.synchronize()


class _CudaGraph:
    def __init__(self, graph: torch.cuda.CUDAGraph, outputs: Outputs, num_bytes: int) -> None:
        self._graph = graph
        self.outputs = outputs
        self.num_bytes = num_bytes

    def replay(self) -> None:
        self._graph.replay()
