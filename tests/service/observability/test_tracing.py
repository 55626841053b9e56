"""Traces: sent to a real OTLP/HTTP receiver, with the stages of an image below its request."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Receiver(ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps the bodies by their path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, bytes]] = []

    def spans(self) -> list:
        """Return the spans that came, as the protocol's own classes."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        requests = [
            ExportTraceServiceRequest.FromString(body)
            for path, body in self.bodies
            if path == "/v1/traces"
        ]
        resources = [part for request in requests for part in request.resource_spans]
        names = {
            item.value.string_value
            for part in resources
            for item in part.resource.attributes
            if item.key == "service.name"
        }
        assert names == {"maskzoo"}
        return [span for part in resources for scope in part.scope_spans for span in scope.spans]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.slow
def test_a_request_is_one_span_with_its_stages_below_it(receiver, bundles, tmp_path, png):
    env = os.environ | {
        "MASKZOO_TELEMETRY": "1",
        "MASKZOO_SHIPPED_BUNDLES": "0",
        "MASKZOO_ENGINE": "torch",
        "MASKZOO_STATE_FOLDER": str(tmp_path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.server_port}",
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
    spans = receiver.spans()
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
    assert "/v1/metrics" in {path for path, _ in receiver.bodies}


def test_stages_follow_each_other_where_only_their_length_is_known(monkeypatch):
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("test")
    monkeypatch.setattr(tracing, "_tracer", tracer)
    timings = Timings()
    timings.add("decode", 0.25, start_ns=10**18)
    timings.add("queue", 0.5)
    timings.add("network", 1)
    with tracer.start_as_current_span("request"):
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
