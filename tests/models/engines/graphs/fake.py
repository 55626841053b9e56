"""A device on the CPU that does what is enqueued as late as possible.

Nothing runs before somebody waits for it, and then no more than that needs: a wait that the engine
forgot shows as old content in a buffer. A graph is a closure whose outputs keep their memory, as on
a GPU. What a graph cannot do is planted by `fail`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from maskzoo.models.engines.graphs.device import Event, Graph, Outputs, Stream


class LateDevice:
    """The fake device.

    Args:
        graph_bytes: of each graph, by the number of its input's pixels.
        fail: called before each capture; raises what the capture should raise.
    """

    def __init__(
        self,
        *,
        graph_bytes: Callable[[int], int] = lambda _: 1000,
        fail: Callable[[], None] = lambda: None,
        total_bytes: int = 1 << 30,
    ) -> None:
        self.device = torch.device("cpu")
        self.total_bytes = total_bytes
        self.graph_bytes = graph_bytes
        self.fail = fail
        self.captures = 0
        self.replays = 0
        self.lock = threading.RLock()

    def stream(self) -> Stream:
        return LateStream(self)

    def current(self) -> Stream:
        return LateStream(self)  # of a thread whose work is done at once: nothing waits in it

    def host_bytes(self, count: int) -> Tensor:
        return torch.full((count,), 77, dtype=torch.uint8)

    def device_bytes(self, count: int) -> Tensor:
        return torch.zeros(count, dtype=torch.uint8)

    def capture(self, work: Callable[[], Outputs], stream: Stream) -> Graph:
        self.fail()
        self.captures += 1
        with self.lock:
            stream.record().wait()
            outputs = tuple(one.clone() for one in work())
        return LateGraph(self, work, outputs, self.graph_bytes(outputs[0].numel()))

    def share(self, tensor: Tensor) -> None:
        pass


class LateStream:
    """Work in order, and how much of it is done."""

    def __init__(self, device: LateDevice) -> None:
        self.device = device
        self.waiting: deque[Callable[[], None]] = deque()
        self.enqueued = 0
        self.done = 0

    def do(self, work: Callable[[], None]) -> None:
        with self.device.lock:
            self.waiting.append(work)
            self.enqueued += 1

    def after(self, event: Event) -> None:
        self.do(event.wait)

    def record(self) -> Event:
        with self.device.lock:
            return LateEvent(self, self.enqueued)

    def run_to(self, count: int) -> None:
        """Do the first `count` pieces of work."""
        with self.device.lock:
            while self.done < count:
                self.done += 1
                self.waiting.popleft()()


class LateEvent:
    """A number of pieces of work."""

    def __init__(self, stream: LateStream, count: int) -> None:
        self.stream, self.count = stream, count

    def wait(self) -> None:
        self.stream.run_to(self.count)


class LateGraph:
    """A closure; its outputs stay where they are."""

    def __init__(
        self, device: LateDevice, work: Callable[[], Outputs], outputs: Outputs, num_bytes: int
    ) -> None:
        self.device, self.work = device, work
        self.outputs, self.num_bytes = outputs, num_bytes

    def replay(self) -> None:
        self.device.replays += 1
        for kept, fresh in zip(self.outputs, self.work(), strict=True):
            kept.copy_(fresh)
