"""Gauges, sampled every few seconds and at each scrape."""

from __future__ import annotations

import asyncio

from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.batcher import Batcher


class Sampler:
    """Samples the state of a service into its metrics."""

    def __init__(
        self, metrics: Metrics, manager: ModelManager, batcher: Batcher, admission: Admission
    ) -> None:
        self._metrics = metrics
        self._manager = manager
        self._batcher = batcher
        self._admission = admission
        self._loaded: dict[str, float] = {}

    def sample(self) -> None:
        """Sample everything once."""
        metrics = self._metrics
        held = {
            entry.name: entry
            for entry in list(self._manager.entries.values())
            if entry.state == "ready"
        }
        metrics.models_loaded.set(len(held))
        for name, entry in held.items():
            metrics.model_memory.labels(name).set(entry.num_bytes or 0)
            if entry.load_s is not None and self._loaded.get(name) != entry.load_s:
                metrics.model_load.observe(entry.load_s)
                self._loaded[name] = entry.load_s
        for name in self._loaded.keys() - held.keys():
            metrics.model_memory.labels(name).set(0)
        dropped = metrics.cancelled.labels("queue")
        metrics.advance(dropped, "dropped", self._batcher.num_dropped)
        for reason, total in self._manager.evictions.items():
            metrics.advance(metrics.evictions.labels(reason), reason, total)
        for model, seconds in metrics.busy.seconds().items():
            busy = metrics.busy_seconds.labels(metrics.device, model)
            metrics.advance(busy, f"busy {model}", seconds)
        for model, inside in self._admission.by_model().items():
            metrics.queue_pixels.labels(metrics.device, model).set(inside.pixels)
            metrics.queue_wait.labels(metrics.device, model).set(inside.wait_s)
        metrics.sample_gpu()

    async def run(self, every_s: float = 5) -> None:
        """Sample repeatedly until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(every_s)
