"""CUDA graphs: a batch is one launch, from uint8 pixels to class ids and confidence.

Eager torch launches hundreds of kernels from Python for each batch, which takes longer than a GPU
needs for a small one. A captured graph is launched as a whole. There is one for each bucket of
batch and size (`models.engines.graphs.cache`); sizes seen once and networks that cannot be captured
run the same program eagerly, on the same streams.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from maskzoo.models.engines.base import EngineChoice, MaskRow
from maskzoo.models.engines.graphs.cache import Bucket, GraphCache
from maskzoo.models.engines.graphs.device import Event, Graph, GraphDevice, Outputs
from maskzoo.models.engines.graphs.lanes import Lane, Lanes
from maskzoo.models.engines.graphs.program import Forward, Program, id_dtype
from maskzoo.models.engines.precision import half_type, name_precision
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing

_FRACTION_OF_MEMORY = 0.25
"""Of the device's memory, for all graphs of one network."""

_FRACTION_OF_A_RUN = 0.125
"""Of the device's memory, for one run of several images by its estimate."""

_TIMED_LAUNCHES = 10


@dataclass(frozen=True)
class _Captured:
    graph: Graph
    pixels: Tensor  # (N, H, W, C), read by each replay

    @property
    def num_bytes(self) -> int:
        return self.graph.num_bytes + self.pixels.nbytes


class CudaGraphsEngine:
    """Engine that runs a network as CUDA graphs.

    `run` and `masks` are called from several threads: launches take turns, and copies and waits
    overlap.

    Args:
        network: copied; folded and in 16 bits in the copy.
        device: where it runs.
        max_bytes: of graphs; None takes a quarter of the device's memory.
        half: compute in 16 bits if the device has them.
    """

    name = "cuda-graphs"
    takes_pixels = True
    choice: EngineChoice | None = None

    def __init__(
        self,
        network: SegmentationNetwork,
        preprocessing: Preprocessing,
        device: GraphDevice,
        *,
        max_bytes: int | None = None,
        half: bool = True,
    ) -> None:
        self.device = device.device
        self.in_channels = network.spec.in_channels
        self.num_classes = network.spec.num_classes
        dtype = half_type(self.device) if half else None
        self.precision = name_precision(dtype)
        self.program = Program(network, preprocessing, device=self.device, dtype=dtype)
        self.network = self.program.network
        self.run_bytes = int(_FRACTION_OF_A_RUN * device.total_bytes)
        self._on = device
        self._lanes = Lanes(device)
        self._stream = self._lanes.run
        self._turn = threading.Lock()  # of launches and of the cache
        limit = int(_FRACTION_OF_MEMORY * device.total_bytes) if max_bytes is None else max_bytes
        self._graphs: GraphCache[_Captured] = GraphCache(
            self._capture, max_bytes=limit, before_drop=lambda: self._stream.record().wait()
        )

    @property
    def num_extra_bytes(self) -> int:
        """Device memory of graphs and buffers, beside the weights."""
        return self._graphs.num_bytes + self._lanes.num_bytes

    @property
    def buckets(self) -> list[Bucket]:
        """The captured buckets, the least recently used first."""
        return self._graphs.buckets

    @property
    def failure(self) -> str | None:
        """Why the network runs eagerly; None if it can be captured."""
        return self._graphs.failure

    def prepare(self, size: tuple[int, int], batches: Iterable[int]) -> None:
        """Capture the graphs of masks for batches of images (height, width)."""
        with self._turn:
            for batch in batches:
                self._graphs.prepare(Bucket("masks", batch, *size).rounded())

    def use(self, fused: Forward | None) -> None:
        """Compute the logits by a fused program from now on; None takes the network itself."""
        with self._turn:
            self._graphs.begin_anew()
            self.program.fused = fused

    def seconds(self, size: tuple[int, int], batch: int) -> float:
        """Return the time of one launch of masks (height, width) on the device."""
        with self._turn:
            captured = self._graphs.prepare(Bucket("masks", batch, *size).rounded())
            if captured is None:
                return math.inf
            self._stream.record().wait()
            start = time.perf_counter()
            for _ in range(_TIMED_LAUNCHES):
                self._stream.do(captured.graph.replay)
            self._stream.record().wait()
        return (time.perf_counter() - start) / _TIMED_LAUNCHES

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Capture every bucket at first sight in the block; drop the graphs after it.

        For checks, which would otherwise see each size once and so no graph.
        """
        self._graphs.at_once = True
        try:
            yield
        finally:
            self._graphs.at_once = False
            with self._turn:
                self._graphs.clear()

    def masks(self, images: Sequence[np.ndarray], *, confidence: bool = True) -> list[MaskRow]:
        """Return the masks of images uint8 (H, W, C) of one size, at that size."""
        with self._lanes.take() as lane:
            shape = (len(images), *images[0].shape)
            target = lane.host_pixels.shaped(shape, torch.uint8).numpy()
            for row, image in zip(target, images, strict=True):
                row[...] = image
            self._launch("masks", lane, shape)
            return self._receive(lane, shape[:3], confidence=confidence)

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w) on the device, for pixels or normalised values."""
        if batch.dtype != torch.uint8:
            return self._run_values(batch)
        pixels = batch.permute(0, 2, 3, 1)
        with self._lanes.take() as lane:
            shape = tuple(pixels.shape)
            lane.host_pixels.shaped(shape, torch.uint8).copy_(pixels)
            self._launch("logits", lane, shape).wait()
            (logits,) = lane.outputs
            self._on.share(logits)
            return logits

    def _run_values(self, batch: Tensor) -> Tensor:
        """Run views that were resized, of which no two need have one size, eagerly."""
        batch = batch.to(self.device, memory_format=torch.channels_last)
        found: list[Tensor] = []
        with self._turn:
            self._stream.after(self._on.current().record())
            self._stream.do(lambda: found.append(self.program.of_values(batch)))
            done = self._stream.record()
        done.wait()
        self._on.share(found[0])
        return found[0]

    def _launch(
        self, output: Literal["masks", "logits"], lane: Lane, shape: tuple[int, ...]
    ) -> Event:
        """Enqueue the copy of a lane's pixels (N, H, W, C) and their run."""
        on_host, pixels = (
            one.shaped(shape, torch.uint8) for one in (lane.host_pixels, lane.pixels)
        )
        up = self._lanes.up
        bucket = Bucket(output, *shape[:3])
        with self._turn:
            up.do(lambda: _copy(pixels, on_host))
            captured = self._graphs.find(bucket.rounded())
            self._stream.after(up.record())
            if captured is None:
                self._stream.do(lambda: self._run_eagerly(output, lane, pixels))
            else:
                self._stream.do(lambda: self._replay(captured, lane, pixels))
            return self._stream.record()

    def _run_eagerly(self, output: str, lane: Lane, pixels: Tensor) -> None:
        lane.outputs = self._compute(output, pixels)

    def _replay(self, captured: _Captured, lane: Lane, pixels: Tensor) -> None:
        """Replay a graph; its outputs are copied, for the next replay overwrites them."""
        count = len(pixels)
        captured.pixels[:count].copy_(pixels)
        captured.graph.replay()
        lane.outputs = tuple(one[:count].clone() for one in captured.graph.outputs)

    def _receive(self, lane: Lane, shape: tuple[int, ...], *, confidence: bool) -> list[MaskRow]:
        """Copy a lane's masks (N, H, W) to the host, and wait for them."""
        down = self._lanes.down
        ids = lane.host_results[0].shaped(shape, id_dtype(self.num_classes))
        certain = lane.host_results[1].shaped(shape, torch.float16) if confidence else None
        are_finite = lane.host_results[2].shaped(shape[:1], torch.bool)
        targets = (ids, certain, are_finite)

        def copy_back() -> None:
            for target, source in zip(targets, lane.outputs, strict=True):
                if target is not None:
                    _copy(target, source)

        with self._turn:
            down.after(self._stream.record())
            down.do(copy_back)
            done = down.record()
        done.wait()
        id_type = np.uint8 if self.num_classes <= 256 else np.uint16
        return [
            MaskRow(
                label_map=one.numpy().astype(id_type),  # a copy: the buffer is used again
                confidence=None if certain is None else certain[row].numpy().copy(),
                is_finite=bool(are_finite[row]),
            )
            for row, one in enumerate(ids)
        ]

    def _capture(self, bucket: Bucket) -> _Captured:
        shape = (bucket.batch, bucket.height, bucket.width, self.in_channels)
        pixels = self._on.device_bytes(int(np.prod(shape))).view(shape)
        graph = self._on.capture(lambda: self._compute(bucket.output, pixels), self._stream)
        return _Captured(graph, pixels)

    def _compute(self, output: str, pixels: Tensor) -> Outputs:
        if output == "masks":
            return self.program.masks(pixels)
        return (self.program.logits(pixels),)


def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source, non_blocking=True)
