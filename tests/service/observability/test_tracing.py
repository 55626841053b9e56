"""Traces: sent to a real OTLP/HTTP receiver, with the stages of an image below its request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from maskzoo.service.observability import tracing
from maskzoo.service.responses.timings import Timings

ROOT = Path(__file__).parents[3]
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STAGES = [
    "decode",
    "decode",
    "queue",
    "preprocess",
    "network",
    "postprocess",
    "postprocess",
    "encode",
]

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="the extra telemetry is not installed")


@pytest.mark.slow
def test_a_request_is_one_span_with_its_stages_below_it(collector, bundles, tmp_path, png):
    env = os.environ | {
        "MASKZOO_TELEMETRY": "1",
        "MASKZOO_SHIPPED_BUNDLES": "0",
        "MASKZOO_ENGINE": "torch",
        "MASKZOO_STATE_FOLDER": str(tmp_path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "PYTHONUNBUFFERED": "1",
    }
    env.pop("OTEL_SERVICE_NAME", None)
    command = [sys.executable, "-m", "maskzoo", "serve", "--port", "0", "--bundles", str(bundles)]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    try:
        url = next(line for line in process.stdout if "listening" in line).split()[-1]
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        answer = httpx.post(f"{url}/segment?model=cells", content=png, headers=headers, timeout=120)
        assert answer.status_code == 200
        broken = httpx.post(f"{url}/segment?model=cells", content=b"no image", timeout=120)
        assert broken.status_code == 400
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        process.stdout.close()
    spans = collector.spans()
    (request,) = [span for span in spans if span.parent_span_id.hex() == CALLER]
    assert request.name == "POST /segment"
    assert request.trace_id.hex() == TRACE
    facts = {item.key: item.value for item in request.attributes}
    assert facts["http.response.status_code"].int_value == 200
    stages = [span for span in spans if span.parent_span_id == request.span_id]
    assert [span.name for span in stages] == STAGES
    assert {span.trace_id.hex() for span in stages} == {TRACE}
    for span in stages:
        assert request.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= request.end_time_unix_nano + 1_000_000
        assert [item.value.string_value for item in span.attributes] == ["cells", "image"]
    others = [span for span in spans if span.trace_id.hex() != TRACE and span.name == "decode"]
    assert len(others) == 1, "what failed shows how far it came"
    assert "/v1/metrics" in {path for path, _ in collector.bodies}


@pytest.fixture
def kept(monkeypatch):
    """The spans that this process has made."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    return kept


def test_stages_follow_each_other_where_only_their_length_is_known(kept):
    timings = Timings()
    timings.add("decode", 0.25, start_ns=10**18)
    timings.add("queue", 0.5)
    timings.add("network", 1)
    with tracing._tracer.start_as_current_span("request"):
        tracing.trace_stages(timings, model="cells", image="a.png")
    found = {
        span.name: (span.start_time - 10**18, span.end_time - 10**18)
        for span in kept.get_finished_spans()
        if span.name != "request"
    }
    assert found == {
        "decode": (0, 250_000_000),
        "queue": (250_000_000, 750_000_000),
        "network": (750_000_000, 1_750_000_000),
    }
    kept.clear()
    tracing.trace_stages(timings, model="cells", image="a.png")
    assert not kept.get_finished_spans(), "no request, no spans"


def test_a_stage_of_another_process_has_its_time_here_and_its_span_there(kept):
    timings = Timings()
    timings.add("decode", 0.25)
    timings.add_elsewhere("network", 1)
    with tracing._tracer.start_as_current_span("request"):
        tracing.trace_stages(timings, model="cells", image="a.png")
    assert [span.name for span in kept.get_finished_spans()] == ["decode", "request"]
    assert timings.milliseconds() == {"decode": 250, "network": 1000}


def test_a_span_that_was_carried_is_continued_and_linked_to(kept):
    with tracing._tracer.start_as_current_span("request"):
        carried = tracing.carry_trace()
    with (
        pytest.raises(ValueError, match="broken"),
        tracing.continue_trace(carried, "job", {"maskzoo.job": "a"}, kind="CONSUMER"),
    ):
        raise ValueError("broken")
    with tracing._tracer.start_as_current_span("result"):
        tracing.link_trace(carried)
    request, job, result = kept.get_finished_spans()
    assert job.parent.span_id == request.context.span_id
    assert (job.context.trace_id, dict(job.attributes)) == (
        request.context.trace_id,
        {"maskzoo.job": "a"},
    )
    assert not job.status.is_ok
    assert job.events[0].name == "exception"
    assert result.parent is None
    assert [link.context.span_id for link in result.links] == [request.context.span_id]


def test_where_there_is_no_span_nothing_is_carried_and_nothing_made(kept):
    assert tracing.carry_trace() == {}
    with tracing.continue_trace({}, "job", {}, kind="CONSUMER"):
        tracing.link_trace({})
    assert not kept.get_finished_spans()
