"""Prometheus metrics: seconds and bytes; names of counters end in `_total`.

Several processes (`uvicorn --workers`) share one set of numbers where `PROMETHEUS_MULTIPROC_DIR`
names an empty folder before they start; each answer of `/metrics` is then about all of them.
Label values are only names known to this server: its routes, models, reasons. Unknown values from
clients are counted as `other`.
Names: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from maskzoo.service.observability.busy import BusyTime

CONTENT_TYPE = CONTENT_TYPE_LATEST
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

# OpenTelemetry's conventional buckets for the duration of a request.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
_STAGE_SECONDS = (0.001, *_SECONDS)
_ITEMS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
_LOAD_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGES = {"network": "infer"}  # other stages keep their names
_REASONS = {
    "overloaded": "queue_full",
    "too-many-pixels": "too_many_pixels",
    "too-many-bytes": "bytes",
    "rate-limit": "rate",
}

RunBatch = Callable[[Any, Sequence[Any]], Awaitable[Sequence[Any]]]


class Metrics:
    """The numbers of one service, in a registry of their own.

    Args:
        device: of the networks of this process, such as `cuda:0`.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.busy = BusyTime()
        self._registry = CollectorRegistry()
        self._seen: dict[str, float] = {}
        self.requests = self._counter("requests_total", "Requests", "route", "model", "code")
        self.durations = self._histogram(
            "request_duration_seconds", "Time of requests", _SECONDS, "route", "model"
        )
        self.stages = self._histogram(
            "stage_duration_seconds", "Time of one image by stage", _STAGE_SECONDS, "model", "stage"
        )
        self.batch_size = self._histogram(
            "batch_size", "Images, or tiles, in one run of a network", _ITEMS, "model"
        )
        self.queue_pixels = self._gauge(
            "queue_pixels", "Pixels that are admitted", "livesum", "device", "model"
        )
        self.queue_wait = self._gauge(
            "queue_wait_seconds",
            "Time that a request arriving now would wait for the images of each model",
            "livemax",
            "device",
            "model",
        )
        self.busy_seconds = self._counter(
            "device_busy_seconds_total", "Time in which a batch ran", "device", "model"
        )
        self.queue_depth = self._gauge(
            "queue_depth", "Images that wait for a network, or are in one", "livesum", "model"
        )
        self.rejected = self._counter("rejected_total", "Requests turned away", "reason")
        self.images = self._counter("images_total", "Images segmented", "model")
        self.pixels = self._counter("pixels_total", "Pixels of images segmented", "model")
        self.models_loaded = self._gauge("models_loaded", "Models in memory", "livesum")
        self.model_memory = self._gauge(
            "model_memory_bytes", "Memory that a model holds", "livesum", "model"
        )
        self.model_load = self._histogram(
            "model_load_seconds", "Time to load a model", _LOAD_SECONDS
        )
        self.evictions = self._counter("model_evictions_total", "Models that left memory", "reason")
        self.cache_hits = self._counter("cache_hits_total", "Answers by 304 Not Modified")
        self.cache_misses = self._counter("cache_misses_total", "Tags that no longer matched")
        self.cancelled = self._counter(
            "cancelled_total", "Images whose client left or whose deadline passed", "stage"
        )
        self.gpu_memory = self._gauge(
            "gpu_memory_bytes", "Memory of the GPU", "livemax", "device", "kind"
        )
        self.build_info = self._gauge(
            "build_info", "What runs here; always 1", "max", "version", "torch", "cuda"
        )

    def request(self, route: str, model: str, code: int, seconds: float) -> None:
        """Count one request."""
        self.requests.labels(route, model, str(code)).inc()
        self.durations.labels(route, model).observe(seconds)

    def image(self, model: str, pixels: int, stages: Mapping[str, float]) -> None:
        """Count one image that was segmented, with the seconds of its stages."""
        self.images.labels(model).inc()
        self.pixels.labels(model).inc(pixels)
        for stage, seconds in stages.items():
            self.stages.labels(model, _STAGES.get(stage, stage)).observe(seconds)

    def refusal(self, slug: str) -> None:
        """Count a problem document if it refused work."""
        if slug in _REASONS:
            self.rejected.labels(_REASONS[slug]).inc()
        elif slug == "client-gone":
            self.cancelled.labels("request").inc()
        elif slug == "deadline":
            self.cancelled.labels("deadline").inc()

    @contextmanager
    def queued(self, model: str) -> Iterator[None]:
        """Count an image as waiting for the time of the block."""
        depth = self.queue_depth.labels(model)
        depth.inc()
        try:
            yield
        finally:
            depth.dec()

    def counted(self, run: RunBatch) -> RunBatch:
        """Return `run`, wrapped to count the size and the time of each batch."""

        async def counting(bucket: Any, items: Sequence[Any]) -> Sequence[Any]:
            with self.busy.running(bucket.model):
                results = await run(bucket, items)
            self.batch_size.labels(bucket.model).observe(len(items))
            return results

        return counting

    def advance(self, counter: Counter, key: str, total: float) -> None:
        """Advance a counter to a total that is kept elsewhere."""
        counter.inc(max(0.0, total - self._seen.get(key, 0.0)))
        self._seen[key] = total

    def build(self, version: str) -> None:
        """Set the build information."""
        torch = sys.modules.get("torch")
        cuda = getattr(getattr(torch, "version", None), "cuda", None)
        self.build_info.labels(version, getattr(torch, "__version__", ""), cuda or "").set(1)

    def sample_gpu(self) -> None:
        """Sample the memory of the GPU, if there is one."""
        torch = sys.modules.get("torch")
        if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
            return
        if not self.device.startswith("cuda"):
            return
        for kind, num_bytes in (
            ("allocated", torch.cuda.memory_allocated(self.device)),
            ("reserved", torch.cuda.memory_reserved(self.device)),
            ("free", torch.cuda.mem_get_info(self.device)[0]),
        ):
            self.gpu_memory.labels(self.device, kind).set(num_bytes)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format, of all processes that share a folder."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def close(self) -> None:
        """Remove this process's gauges from the shared numbers."""
        if SHARED_FOLDER in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"maskzoo_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, mode: Any, *labels: str) -> Gauge:
        return Gauge(
            f"maskzoo_{name}", text, labels, registry=self._registry, multiprocess_mode=mode
        )

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"maskzoo_{name}", text, labels, registry=self._registry, buckets=buckets)
