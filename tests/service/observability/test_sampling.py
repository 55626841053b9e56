"""Gauges: read from the manager and the batcher, each event counted once."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from maskzoo.service.observability.busy import BusyTime
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.observability.sampling import Sampler
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.cost import Cost


class Readings:
    """A sampler over a manager and a batcher that a test writes to."""

    def __init__(self) -> None:
        self.manager = SimpleNamespace(entries={}, evictions=Counter())
        self.batcher = SimpleNamespace(num_dropped=0)
        self.now = 0.0
        self.admission = Admission(10**9, clock=lambda: self.now)
        self.metrics = Metrics("cuda:1")
        self.metrics.busy = BusyTime(lambda: self.now)
        self._sampler = Sampler(self.metrics, self.manager, self.batcher, self.admission)

    def load(self, name: str, *, num_bytes: int, load_s: float) -> None:
        """Let a model be ready."""
        self.manager.entries[name] = SimpleNamespace(
            name=name, state="ready", num_bytes=num_bytes, load_s=load_s
        )

    def read(self, name: str, **labels: str) -> float | None:
        """Sample, and return one number."""
        self._sampler.sample()
        for family in text_string_to_metric_families(self.metrics.render().decode()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None


def test_models_in_memory_are_counted_with_their_bytes():
    readings = Readings()
    readings.load("cells", num_bytes=70, load_s=1)
    readings.manager.entries["lazy"] = SimpleNamespace(name="lazy", state="found")
    assert readings.read("maskzoo_models_loaded") == 1
    assert readings.read("maskzoo_model_memory_bytes", model="cells") == 70


def test_a_model_that_left_holds_nothing():
    readings = Readings()
    readings.load("cells", num_bytes=70, load_s=1)
    readings.read("maskzoo_models_loaded")
    readings.manager.entries["cells"].state = "found"
    assert readings.read("maskzoo_model_memory_bytes", model="cells") == 0
    assert readings.read("maskzoo_models_loaded") == 0


def test_each_load_is_observed_once():
    readings = Readings()
    readings.load("cells", num_bytes=70, load_s=1)
    for _ in range(3):
        assert readings.read("maskzoo_model_load_seconds_count") == 1
    readings.load("cells", num_bytes=70, load_s=2)
    assert readings.read("maskzoo_model_load_seconds_count") == 2
    assert readings.read("maskzoo_model_load_seconds_sum") == 3


def test_totals_that_are_kept_elsewhere_are_not_added_twice():
    readings = Readings()
    readings.batcher.num_dropped = 2
    readings.manager.evictions["memory"] = 3
    for _ in range(2):
        assert readings.read("maskzoo_cancelled_total", stage="queue") == 2
        assert readings.read("maskzoo_model_evictions_total", reason="memory") == 3
    readings.batcher.num_dropped = 5
    assert readings.read("maskzoo_cancelled_total", stage="queue") == 5


def test_what_is_inside_is_seen_as_pixels_and_as_the_time_that_it_will_take():
    readings, million = Readings(), Cost(image_pixels=10**6)
    with readings.admission.admit(million, model="cells"):
        readings.now = 2.0  # half a megapixel per second
    cells = {"device": "cuda:1", "model": "cells"}
    streets = {"device": "cuda:1", "model": "streets"}
    with (
        readings.admission.admit(million, model="cells"),
        readings.admission.admit(million, model="cells"),
        readings.admission.admit(million, model="streets"),
    ):
        assert readings.read("maskzoo_queue_pixels", **cells) == 2_000_000
        assert readings.read("maskzoo_queue_pixels", **streets) == 1_000_000
        assert readings.read("maskzoo_queue_wait_seconds", **cells) == 4
        assert readings.read("maskzoo_queue_wait_seconds", **streets) == 2
        assert readings.admission.wait_s() == 6
    assert readings.read("maskzoo_queue_pixels", **cells) == 0
    assert readings.read("maskzoo_queue_wait_seconds", **streets) == 0


def test_a_batch_that_still_runs_is_busy_time_already():
    readings = Readings()
    cells = {"device": "cuda:1", "model": "cells"}
    with readings.metrics.busy.running("cells"):
        readings.now = 3.0
        assert readings.read("maskzoo_device_busy_seconds_total", **cells) == 3
        readings.now = 4.0
    readings.now = 9.0
    assert readings.read("maskzoo_device_busy_seconds_total", **cells) == 4
