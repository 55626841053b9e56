"""The numbers that Prometheus reads, also from several processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.scheduling.admission import MIN_COST_PX

PROMISED = {
    *("maskzoo_requests", "maskzoo_request_duration_seconds", "maskzoo_stage_duration_seconds"),
    *("maskzoo_batch_size", "maskzoo_queue_depth", "maskzoo_rejected", "maskzoo_images"),
    *("maskzoo_pixels", "maskzoo_models_loaded", "maskzoo_model_load_seconds"),
    *("maskzoo_model_evictions", "maskzoo_model_memory_bytes", "maskzoo_cache_hits"),
    *("maskzoo_cache_misses", "maskzoo_cancelled", "maskzoo_gpu_memory_bytes"),
    *("maskzoo_queue_pixels", "maskzoo_queue_wait_seconds", "maskzoo_device_busy_seconds"),
    "maskzoo_build_info",
}


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return each sample by its name and sorted labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(client, name: str, **labels: str) -> float:
    return read(client.get("/metrics").text).get((name, tuple(sorted(labels.items()))), 0)


def test_every_promised_name_is_there_from_the_start(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {name for name in names if not name.endswith("_created")} == PROMISED


def test_a_request_and_its_image_are_counted_once(client, png):
    client.post("/segment?model=cells", content=png)
    labels = {"route": "/segment", "model": "cells"}
    assert value(client, "maskzoo_requests_total", **labels, code="200") == 1
    assert value(client, "maskzoo_request_duration_seconds_count", **labels) == 1
    assert value(client, "maskzoo_images_total", model="cells") == 1
    assert value(client, "maskzoo_pixels_total", model="cells") == 2400
    assert value(client, "maskzoo_batch_size_sum", model="cells") == 1
    device = {"device": "cpu", "model": "cells"}
    assert value(client, "maskzoo_device_busy_seconds_total", **device) > 0
    assert value(client, "maskzoo_queue_pixels", **device) == 0
    assert value(client, "maskzoo_queue_depth", model="cells") == 0
    for stage in ("decode", "queue", "infer", "postprocess", "encode"):
        name = "maskzoo_stage_duration_seconds_count"
        assert value(client, name, model="cells", stage=stage) == 1, stage


def test_probes_are_not_counted(client):
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"):
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
    routes = {dict(labels).get("route") for _, labels in read(client.get("/metrics").text)}
    assert not {route for route in routes - {None} if "health" in route or "ready" in route}


def test_what_waits_for_a_network_is_seen(start, held_model, png):
    from concurrent.futures import ThreadPoolExecutor

    client = start(held_model)
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(client.post, "/segment?model=cells", content=png)
        assert held_model.started.wait(120)
        assert value(client, "maskzoo_queue_depth", model="cells") == 1
        assert value(client, "maskzoo_queue_pixels", device="cpu", model="cells") == MIN_COST_PX
        held_model.release.set()
        assert working.result().status_code == 200


def test_a_client_cannot_make_up_labels(client, png):
    for path in ("/a/b", "/c", "/web/nothing.js"):
        client.get(path)
    client.post("/segment?model=made-up", content=png)
    samples = read(client.get("/metrics").text)
    routes = {dict(labels).get("route") for _, labels in samples} - {None}
    assert routes <= {"other", "/web", "/segment", "/metrics"}
    assert "made-up" not in {dict(labels).get("model") for _, labels in samples}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"max_bytes": 10}, "bytes"), ({"max_pixels": 10}, "too_many_pixels")],
)
def test_what_is_turned_away_is_counted_by_its_reason(start, png, settings, reason):
    client = start(**settings)
    client.post("/segment", content=png)
    assert value(client, "maskzoo_rejected_total", reason=reason) == 1


def test_a_tag_that_matches_is_a_hit_and_another_is_a_miss(client, png):
    tag = client.post("/segment", content=png).headers["etag"]
    for held in (tag, tag, '"other"'):
        client.post("/segment", content=png, headers={"If-None-Match": held})
    assert value(client, "maskzoo_cache_hits_total") == 2
    assert value(client, "maskzoo_cache_misses_total") == 1


def test_loaded_models_are_counted_and_their_loads_timed(client):
    assert value(client, "maskzoo_models_loaded") == 2
    assert value(client, "maskzoo_model_load_seconds_count") == 2
    assert value(client, "maskzoo_model_load_seconds_count") == 2, "a scrape loads nothing"


def test_two_services_in_one_process_do_not_share_numbers(start, png):
    one, other = start(), start()
    one.post("/segment?model=cells", content=png)
    assert value(other, "maskzoo_images_total", model="cells") == 0


def test_batches_are_counted_when_they_came_through():
    metrics = Metrics()

    async def run(bucket: object, items: list[int]) -> list[int]:
        if not items:
            raise ValueError("empty")
        return items

    counted, bucket = metrics.counted(run), SimpleNamespace(model="cells")
    assert asyncio.run(counted(bucket, [1, 2, 3])) == [1, 2, 3]
    with pytest.raises(ValueError, match="empty"):
        asyncio.run(counted(bucket, []))
    samples = read(metrics.render().decode())
    labels = (("model", "cells"),)
    assert samples["maskzoo_batch_size_sum", labels] == 3
    assert samples["maskzoo_batch_size_count", labels] == 1


WORKER = """
import sys
from maskzoo.service.observability.metrics import Metrics
metrics = Metrics()
metrics.request("/segment", "cells", 200, 0.1)
metrics.image("cells", 100, {"network": 0.1})
metrics.models_loaded.set(2)
metrics.queue_pixels.labels("cpu", "cells").set(100)
metrics.queue_wait.labels("cpu", "cells").set(float(sys.argv[1]))
metrics.build("1")
"""


def test_several_processes_are_one_sum_whoever_is_asked(tmp_path):
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def run(source: str, wait_s: int) -> str:
        command = [sys.executable, "-c", source, str(wait_s)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    run(WORKER, 3)
    run(WORKER + "metrics.close()", 9)
    samples = read(run(WORKER + "print(metrics.render().decode())", 2))
    labels = (("code", "200"), ("model", "cells"), ("route", "/segment"))
    assert samples["maskzoo_requests_total", labels] == 3
    assert samples["maskzoo_pixels_total", (("model", "cells"),)] == 300
    stage = (("model", "cells"), ("stage", "infer"))
    assert samples["maskzoo_stage_duration_seconds_count", stage] == 3
    assert samples["maskzoo_models_loaded", ()] == 4, (
        "the process that ended is not loaded any more"
    )
    device = (("device", "cpu"), ("model", "cells"))
    assert samples["maskzoo_queue_pixels", device] == 200, "of all that live"
    assert samples["maskzoo_queue_wait_seconds", device] == 3, "the longest of those that live"
